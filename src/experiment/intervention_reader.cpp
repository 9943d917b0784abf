#include "experiment/intervention_reader.h"

#include <algorithm>
#include <string>
#include <utility>
#include <vector>

#include <fmt/format.h>

namespace perturb {
namespace {

/// What acts on steps has no meaning at init.
void refuse_init(const Reading& reading, const Component& component, const Key& key) {
  if (component.moment == Moment::Init) return;
  for (const auto& level : key.levels) {
    if (level.when.kind != When::Kind::Init) continue;
    reading.problems.error(
        level.place,
        component.name == "set"
            ? "a field cannot be set at \"init\": it is in force over steps"
            : fmt::format("\"{}\" cannot act at \"init\": it acts in steps of training",
                          component.name),
        "leave `when` out for the whole run, or give a window such as [0, 100]");
  }
}

std::vector<Level> read_absolute(const Reading& reading, const Node& value, const Parameter& p,
                                 const std::string& key) {
  auto levels = read_levels(value, p, key, reading.folder, reading.problems);
  for (const auto& level : levels) {
    if (level.kind == Level::Kind::Value) continue;
    reading.problems.error(
        level.place, fmt::format("\"{}\" has nothing that a relative level could start from", key),
        "scale and add are for fields of the condition");
    return {};
  }
  return levels;
}

void read_set(const Reading& reading, const Node& set, bool has_when, std::vector<Key>& keys) {
  if (set.kind != Node::Kind::Table || set.entries.empty()) {
    reading.problems.error(set.place, "set needs a key of the condition",
                           "write for instance set.optimizer.lr = [0.1, 0.01]");
    return;
  }
  each_field(reading, set, "", [&](const std::string& path, const Place& place, const Node& node) {
    const auto* parameter = reading.fields.find(path);
    if (section_of(path) == "train") {
      reading.problems.error(
          place,
          fmt::format("\"{}\" is not part of what a trial is, so no intervention can set it", path),
          "put it in the base condition or override it on the command line");
      return;
    }
    if (has_when && !parameter->live) {
      reading.problems.error(place, fmt::format("\"{}\" cannot change while a run goes on", path),
                             "leave `when` out to compare whole runs");
      return;
    }
    keys.push_back({"set." + path, place,
                    read_levels(node, *parameter, path, reading.folder, reading.problems)});
  });
}

/// Adds what a table says to the intervention; false when that cannot be told.
bool add_part(Reading& reading, const Node& entry, Entered& out) {
  const auto* kind = entry.find("kind");
  const auto* set = entry.find("set");
  if (kind && kind->kind != Node::Kind::String) {
    reading.problems.error(kind->place,
                           fmt::format("\"kind\" must be a string, not {}", name_of(kind->kind)));
    return false;
  }
  if (!kind && !set) {
    reading.problems.error(
        entry.place, "an intervention says what it does",
        "write set.<key> = ..., or kind = \"...\"; `perturb list interventions` shows the kinds");
    return false;
  }
  Part part;
  part.place = entry.place;
  part.kind = kind ? kind->text : "set";
  part.component = reading.fields.schema().find(Family::Intervention, part.kind);
  if (!part.component) {
    reading.problems.error(
        kind ? kind->place : entry.place, fmt::format("there is no intervention \"{}\"", part.kind),
        suggestion(part.kind, reading.fields.schema().names(Family::Intervention)));
    return false;
  }
  if (set && part.kind != "set") {
    reading.problems.error(set->place,
                           fmt::format("intervention \"{}\" does not set fields", part.kind),
                           "write an entry of its own for set");
    return false;
  }
  std::vector<Key> keys;
  if (set) read_set(reading, *set, entry.find("when") != nullptr, keys);
  for (const auto& p : part.component->parameters) {
    if (p.fallback) part.defaults[p.name] = *p.fallback;
  }
  for (const auto& [key, place, value] : entry.entries) {
    if (key == "kind" || key == "set" || key == "zip") continue;
    if (key == "when") {
      keys.push_back({"when", place, read_when(value, reading.problems)});
      refuse_init(reading, *part.component, keys.back());
    } else if (const auto* p = part.component->find(key)) {
      keys.push_back({key, place, read_absolute(reading, value, *p, key)});
    } else {
      auto own = std::vector<std::string>{"kind", "when", "zip", "set"};
      for (const auto& each : part.component->parameters) own.push_back(each.name);
      reading.problems.error(
          place, fmt::format("intervention \"{}\" has no parameter \"{}\"", part.kind, key),
          suggestion(key, own));
    }
  }
  for (const auto& p : part.component->parameters) {
    const bool given =
        std::any_of(keys.begin(), keys.end(), [&](const Key& k) { return k.path == p.name; });
    if (!p.fallback && !given) {
      reading.problems.error(
          entry.place, fmt::format("intervention \"{}\" needs \"{}\"", part.kind, p.name), p.help);
    }
  }
  for (auto& axis :
       axes_of(std::move(keys), read_zip(reading, entry), entry.place, reading.problems)) {
    for (auto& choice : axis.choices) {
      for (auto& setting : choice) setting.part = out.parts.size();
    }
    out.grid.axes.push_back(std::move(axis));
  }
  out.parts.push_back(std::move(part));
  return true;
}

void check_part(Reading& reading, const Entered& entered, std::size_t number) {
  const auto& part = entered.parts[number];
  const auto& component = *part.component;
  if (!component.check && !component.unsupported) return;
  const auto size = std::min(entered.grid.size(), kGridLimit);
  for (std::size_t i = 0; i < size; ++i) {
    auto parameters = part.defaults;
    Place place = part.place;
    for (const auto* setting : entered.grid.at(i)) {
      if (setting->part != number || setting->level.kind != Level::Kind::Value) continue;
      parameters[setting->path] = setting->level.value;
      place = setting->level.place;
    }
    // Required ones that are missing have been reported already.
    const bool complete =
        std::all_of(component.parameters.begin(), component.parameters.end(),
                    [&](const Parameter& p) { return parameters.contains(p.name); });
    if (!complete) return;
    if (const auto wrong = component.check ? component.check(parameters) : ""; !wrong.empty())
      reading.problems.error(place, wrong);
    const auto reason = component.unsupported ? component.unsupported(parameters) : "";
    if (reason.empty()) continue;
    reading.out.unsupported.push_back({part.place, reason, {}, false});
    return;
  }
}

/// What each part's parameters must satisfy together, for every point of the entry's grid.
void check_together(Reading& reading, const Entered& entered) {
  for (std::size_t i = 0; i < entered.parts.size(); ++i) check_part(reading, entered, i);
}

/// One intervention that does several things; with `alone`, each of them by itself as well.
void read_together(Reading& reading, const Node& entry, const Node& together) {
  for (const auto& [key, place, value] : entry.entries) {
    if (key == "together" || key == "alone") continue;
    reading.problems.error(place, fmt::format("\"{}\" cannot stand beside \"together\"", key),
                           "write it into each of the tables that act together");
  }
  if (together.kind != Node::Kind::Array || together.items.size() < 2) {
    reading.problems.error(
        together.place, "\"together\" takes a list of two tables or more",
        "write together = [{ ... }, { ... }], each as an intervention of its own");
    return;
  }
  const auto* alone = entry.find("alone");
  if (alone && alone->kind != Node::Kind::Bool) {
    reading.problems.error(
        alone->place, fmt::format("\"alone\" must be true or false, not {}", name_of(alone->kind)));
    return;
  }
  Entered all;
  all.place = entry.place;
  for (const auto& item : together.items) {
    if (item.kind != Node::Kind::Table) {
      reading.problems.error(item.place,
                             fmt::format("\"together\" takes tables, not {}", name_of(item.kind)));
      continue;
    }
    if (alone && alone->boolean) read_intervention(reading, item);
    add_part(reading, item, all);
  }
  if (all.parts.size() != together.items.size()) return;
  check_together(reading, all);
  reading.out.interventions.push_back(std::move(all));
}

}  // namespace

void read_intervention(Reading& reading, const Node& entry) {
  if (const auto* together = entry.find("together"))
    return read_together(reading, entry, *together);
  Entered out;
  out.place = entry.place;
  if (!add_part(reading, entry, out)) return;
  check_together(reading, out);
  reading.out.interventions.push_back(std::move(out));
}

}  // namespace perturb
