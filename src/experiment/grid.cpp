#include "experiment/grid.h"

#include <algorithm>
#include <cmath>

#include <fmt/format.h>

#include "experiment/fields.h"
#include "perturb/experiment/timeline.h"

namespace perturb {

std::size_t Grid::size() const {
  std::size_t total = 1;
  for (const auto& axis : axes) {
    if (axis.choices.empty()) return 0;
    if (total > kGridLimit / axis.choices.size()) {
      total = kGridLimit + 1;
    } else {
      total *= axis.choices.size();
    }
  }
  return total;
}

Point Grid::at(std::size_t point) const {
  std::vector<const Choice*> chosen(axes.size());
  for (std::size_t i = axes.size(); i-- > 0;) {
    const auto& choices = axes[i].choices;
    chosen[i] = &choices[point % choices.size()];
    point /= choices.size();
  }
  Point out;
  for (const auto* choice : chosen) {
    for (const auto& setting : *choice) out.push_back(&setting);
  }
  return out;
}

std::vector<std::string> Grid::paths() const {
  std::vector<std::string> out;
  for (const auto& axis : axes) {
    for (const auto& choice : axis.choices) {
      for (const auto& setting : choice) {
        if (std::find(out.begin(), out.end(), setting.path) == out.end())
          out.push_back(setting.path);
      }
    }
  }
  return out;
}

namespace {

bool sets(const Axis& axis, const std::string& path) {
  return std::any_of(axis.choices.begin(), axis.choices.end(), [&](const Choice& choice) {
    return std::any_of(choice.begin(), choice.end(),
                       [&](const Setting& setting) { return setting.path == path; });
  });
}

bool has(const Choice& choice, const std::pair<std::string, std::string>& wanted) {
  return std::any_of(choice.begin(), choice.end(), [&](const Setting& setting) {
    return setting.path == wanted.first && setting.level.kind == Level::Kind::Value &&
           display(setting.level.value) == wanted.second;
  });
}

}  // namespace

std::optional<std::size_t> Grid::neighbour(
    std::size_t point, const std::vector<std::pair<std::string, std::string>>& values) const {
  std::size_t found = 0;
  std::size_t weight = 1;
  std::size_t met = 0;
  for (auto axis = axes.rbegin(); axis != axes.rend(); ++axis) {
    const auto& choices = axis->choices;
    std::size_t at = point % choices.size();
    point /= choices.size();
    std::vector<std::pair<std::string, std::string>> wanted;
    for (const auto& value : values) {
      if (sets(*axis, value.first)) wanted.push_back(value);
    }
    const auto fits = [&](const Choice& choice) {
      return std::all_of(wanted.begin(), wanted.end(),
                         [&](const auto& value) { return has(choice, value); });
    };
    if (!fits(choices[at])) {
      const auto other = std::find_if(choices.begin(), choices.end(), fits);
      if (other == choices.end()) return std::nullopt;
      at = static_cast<std::size_t>(other - choices.begin());
    }
    met += wanted.size();
    found += at * weight;
    weight *= choices.size();
  }
  if (met != values.size()) return std::nullopt;
  return found;
}

namespace {

const std::vector<std::string> kLevelKeys = {"range", "linspace", "logspace",
                                             "scale", "add",      "each"};

std::vector<Level> read_range(const Node& node, const Parameter& p, const std::string& path,
                              Problems& problems) {
  const auto usage =
      "write { range = [first, end] } or { range = [first, end, step] }; the end "
      "itself is not a level";
  if (p.type != Type::Int && p.type != Type::Float) {
    problems.error(node.place,
                   fmt::format("\"{}\" takes {}, a range gives integers", path, name_of(p.type)));
    return {};
  }
  const bool integers = node.kind == Node::Kind::Array &&
                        std::all_of(node.items.begin(), node.items.end(),
                                    [](const Node& item) { return item.kind == Node::Kind::Int; });
  if (!integers || node.items.size() < 2 || node.items.size() > 3) {
    problems.error(node.place, "a range has two or three integers", usage);
    return {};
  }
  const auto first = node.items[0].integer;
  const auto end = node.items[1].integer;
  const auto step = node.items.size() == 3 ? node.items[2].integer : 1;
  if (step <= 0 || end <= first) {
    problems.error(node.place,
                   fmt::format("the range [{}, {}) in steps of {} is empty", first, end, step),
                   usage);
    return {};
  }
  // Unsigned, since the distance between two int64 may not fit one.
  const auto distance = static_cast<std::uint64_t>(end) - static_cast<std::uint64_t>(first);
  const auto count = (distance - 1) / static_cast<std::uint64_t>(step) + 1;
  if (count > kGridLimit) {
    problems.error(node.place,
                   fmt::format("a range of {} levels; an experiment has at most {} trials", count,
                               kGridLimit));
    return {};
  }
  std::vector<Level> levels;
  for (std::uint64_t i = 0; i < count; ++i) {
    const auto x = first + static_cast<std::int64_t>(i) * step;
    const Value value = p.type == Type::Int ? Value(x) : Value(static_cast<double>(x));
    if (const auto wrong = out_of_range(value, p); !wrong.empty()) {
      problems.error(node.place, fmt::format("\"{}\": {}", path, wrong));
      return {};
    }
    levels.push_back({Level::Kind::Value, value, {}, node.place});
  }
  return levels;
}

std::vector<Level> read_spaced(const Node& node, bool logarithmic, const Parameter& p,
                               const std::string& path, Problems& problems) {
  const std::string name = logarithmic ? "logspace" : "linspace";
  if (p.type != Type::Float && p.type != Type::Int) {
    problems.error(node.place,
                   fmt::format("\"{}\" takes {}, {} gives numbers", path, name_of(p.type), name));
    return {};
  }
  if (node.kind != Node::Kind::Array || node.items.size() != 3 || !node.items[0].is_number() ||
      !node.items[1].is_number() || node.items[2].kind != Node::Kind::Int) {
    problems.error(node.place, fmt::format("{} has a first value, a last value and a count", name),
                   fmt::format("write {{ {} = [0.001, 1, 4] }}; both ends are levels", name));
    return {};
  }
  const auto end_value = [](const Node& n) {
    return n.kind == Node::Kind::Int ? static_cast<double>(n.integer) : n.number;
  };
  const double first = end_value(node.items[0]);
  const double last = end_value(node.items[1]);
  const auto count = node.items[2].integer;
  if (count < 2 || count > static_cast<std::int64_t>(kGridLimit)) {
    problems.error(node.items[2].place, fmt::format("{} of {} levels", name, count),
                   fmt::format("it has from 2 to {}", kGridLimit));
    return {};
  }
  if (!std::isfinite(first) || !std::isfinite(last) || (logarithmic && (first <= 0 || last <= 0))) {
    problems.error(node.place, fmt::format("{} from {} to {}", name, first, last),
                   logarithmic ? "both ends must be positive: they are values, not exponents"
                               : "both ends must be finite");
    return {};
  }
  std::vector<Level> levels;
  for (std::int64_t i = 0; i < count; ++i) {
    const double t = static_cast<double>(i) / static_cast<double>(count - 1);
    // The ends exactly as written; between them 12 digits, so that a level is 0.01 and not
    // 0.010000000000000002.
    const double between = logarithmic
                               ? std::exp(std::log(first) + t * (std::log(last) - std::log(first)))
                               : first + t * (last - first);
    const double x = i == 0           ? first
                     : i == count - 1 ? last
                                      : std::stod(fmt::format("{:.12g}", between));
    Value value = x;
    if (p.type == Type::Int) {
      if (std::nearbyint(x) != x || std::abs(x) > 0x1p53) {
        problems.error(node.place,
                       fmt::format("\"{}\" takes integers, but {} gives {}", path, name, x));
        return {};
      }
      value = static_cast<std::int64_t>(x);
    }
    if (const auto wrong = out_of_range(value, p); !wrong.empty()) {
      problems.error(node.place, fmt::format("\"{}\": {}", path, wrong));
      return {};
    }
    levels.push_back({Level::Kind::Value, value, {}, node.place});
  }
  return levels;
}

std::vector<Level> read_relative(const Node& node, Level::Kind kind, const Parameter& p,
                                 const std::string& path, Problems& problems) {
  if (p.type != Type::Int && p.type != Type::Float) {
    problems.error(node.place, fmt::format("\"{}\" takes {}: only numbers have relative levels",
                                           path, name_of(p.type)));
    return {};
  }
  const Node* one = &node;
  const std::size_t count = node.kind == Node::Kind::Array ? node.items.size() : 1;
  const Node* all = node.kind == Node::Kind::Array ? node.items.data() : one;
  if (count == 0) problems.error(node.place, fmt::format("no levels for \"{}\"", path));
  std::vector<Level> levels;
  for (std::size_t i = 0; i < count; ++i) {
    const auto& item = all[i];
    const double x = item.kind == Node::Kind::Int ? static_cast<double>(item.integer) : item.number;
    if (!item.is_number() || !std::isfinite(x)) {
      problems.error(item.place,
                     fmt::format("a relative level of \"{}\" must be a finite number", path));
      continue;
    }
    levels.push_back({kind, x, {}, item.place});
  }
  return levels;
}

}  // namespace

std::vector<Level> read_levels(const Node& node, const Parameter& p, const std::string& path,
                               const std::filesystem::path& folder, Problems& problems) {
  if (node.kind == Node::Kind::Table && (!is_table(p.type) || node.find("each"))) {
    if (node.entries.size() != 1) {
      problems.error(node.place,
                     fmt::format("the levels of \"{}\" need exactly one of range, linspace, "
                                 "logspace, scale, add, each",
                                 path));
      return {};
    }
    const auto& [key, place, value] = node.entries.front();
    if (key == "range") return read_range(value, p, path, problems);
    if (key == "linspace" || key == "logspace") {
      return read_spaced(value, key == "logspace", p, path, problems);
    }
    if (key == "scale") return read_relative(value, Level::Kind::Scale, p, path, problems);
    if (key == "add") return read_relative(value, Level::Kind::Add, p, path, problems);
    if (key != "each") {
      problems.error(place, fmt::format("unknown kind of levels \"{}\"", key),
                     suggestion(key, kLevelKeys));
      return {};
    }
    if (value.kind != Node::Kind::Array) {
      problems.error(value.place, "each takes a list of levels",
                     "write { each = [[64], [64, 64]] }");
      return {};
    }
  }
  const Node* list =
      node.kind == Node::Kind::Table && node.find("each") ? node.find("each") : nullptr;
  const bool list_type =
      p.type == Type::IntList || p.type == Type::FloatList || p.type == Type::StringList;
  // A list that is itself one value is one level.
  if (!list && node.kind == Node::Kind::Array && !list_type) list = &node;
  std::vector<Level> levels;
  const auto add = [&](const Node& item) {
    if (auto value = coerce(item, p, path, folder, problems)) {
      levels.push_back({Level::Kind::Value, std::move(*value), {}, item.place});
    }
  };
  if (!list) {
    add(node);
    return levels;
  }
  if (list->items.empty()) problems.error(list->place, fmt::format("no levels for \"{}\"", path));
  for (const auto& item : list->items) add(item);
  return levels;
}

namespace {

constexpr auto kWhenUsage =
    "write \"init\", a step, [begin, end], [[begin, end], ...], { epochs = [begin, end] }, or "
    "{ each = [...] } for a grid of them; the end itself is not included";

bool read_bound(const Node& node, bool end, std::int64_t& out) {
  if (node.kind == Node::Kind::Int && node.integer >= 0) {
    out = node.integer;
    return true;
  }
  if (end && node.kind == Node::Kind::String && node.text == "end") {
    out = kForever;
    return true;
  }
  return false;
}

bool read_window(const Node& node, When& when, Problems& problems) {
  std::int64_t begin = 0;
  std::int64_t end = 0;
  if (node.kind != Node::Kind::Array || node.items.size() != 2 ||
      !read_bound(node.items[0], false, begin) || !read_bound(node.items[1], true, end)) {
    problems.error(node.place, "a window is [begin, end] with numbers that are not negative",
                   kWhenUsage);
    return false;
  }
  if (end < begin) {
    problems.error(node.place, fmt::format("the window [{}, {}) ends before it begins", begin, end),
                   kWhenUsage);
    return false;
  }
  when.ranges.emplace_back(begin, end);
  return true;
}

bool read_windows(const Node& node, When& when, Problems& problems) {
  if (node.kind == Node::Kind::Int) {
    if (node.integer < 0) {
      problems.error(node.place, fmt::format("there is no step {}", node.integer), kWhenUsage);
      return false;
    }
    when.ranges.emplace_back(node.integer, node.integer + (node.integer < kForever ? 1 : 0));
    return true;
  }
  if (node.kind == Node::Kind::Array && !node.items.empty() &&
      node.items.front().kind == Node::Kind::Array) {
    bool good = true;
    for (const auto& item : node.items) good = read_window(item, when, problems) && good;
    return good;
  }
  return read_window(node, when, problems);
}

void read_one_when(const Node& node, std::vector<Level>& levels, Problems& problems) {
  Level level{Level::Kind::When, {}, {}, node.place};
  if (node.kind == Node::Kind::String) {
    if (node.text != "init") {
      problems.error(node.place, fmt::format("\"{}\" is not a time", node.text), kWhenUsage);
      return;
    }
    level.when.kind = When::Kind::Init;
  } else if (node.kind == Node::Kind::Table) {
    const auto* epochs = node.find("epochs");
    if (!epochs || node.entries.size() != 1) {
      problems.error(node.place, "a table here says { epochs = [begin, end] }", kWhenUsage);
      return;
    }
    level.when.kind = When::Kind::Epochs;
    if (!read_windows(*epochs, level.when, problems)) return;
  } else {
    level.when.kind = When::Kind::Steps;
    if (!read_windows(node, level.when, problems)) return;
  }
  levels.push_back(std::move(level));
}

}  // namespace

std::vector<Level> read_when(const Node& node, Problems& problems) {
  std::vector<Level> levels;
  if (const auto* each = node.kind == Node::Kind::Table ? node.find("each") : nullptr) {
    if (each->kind != Node::Kind::Array || each->items.empty() || node.entries.size() != 1) {
      problems.error(node.place, "each takes a list of times", kWhenUsage);
      return {};
    }
    for (const auto& item : each->items) read_one_when(item, levels, problems);
  } else {
    read_one_when(node, levels, problems);
  }
  return levels;
}

std::vector<Axis> axes_of(std::vector<Key> keys, bool zip, const Place& entry, Problems& problems) {
  std::vector<Axis> axes;
  if (!zip) {
    for (auto& key : keys) {
      Axis axis;
      for (auto& level : key.levels) axis.choices.push_back({{key.path, std::move(level)}});
      axes.push_back(std::move(axis));
    }
    return axes;
  }
  Axis axis;
  for (const auto& key : keys) {
    if (key.levels.size() == keys.front().levels.size()) continue;
    problems.error(
        key.place,
        fmt::format("zip pairs levels, but \"{}\" has {} and \"{}\" has {}", keys.front().path,
                    keys.front().levels.size(), key.path, key.levels.size()),
        "give all keys of the entry the same number of levels, or leave out zip");
    return {};
  }
  if (keys.empty()) {
    problems.error(entry, "zip = true, but there is nothing to pair");
    return {};
  }
  for (std::size_t i = 0; i < keys.front().levels.size(); ++i) {
    Choice choice;
    for (auto& key : keys) choice.push_back({key.path, std::move(key.levels[i])});
    axis.choices.push_back(std::move(choice));
  }
  axes.push_back(std::move(axis));
  return axes;
}

}  // namespace perturb
