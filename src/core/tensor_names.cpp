#include "perturb/core/tensor_names.h"

#include <algorithm>
#include <map>
#include <string_view>
#include <unordered_map>

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "perturb/core/diagnostic.h"
#include "perturb/core/error.h"

namespace perturb {
namespace {

constexpr std::size_t kListed = 10;       // of each kind of mismatch
constexpr std::size_t kLongest = 80;      // bytes of a name in a message
constexpr std::size_t kCompared = 1000;   // names among which a near one is looked for
constexpr std::size_t kExampleRules = 8;  // of an example

std::string shown(const std::string& name) {
  return name.size() > kLongest ? name.substr(0, kLongest) + "..." : name;
}

/// At most ten of them, then how many more.
std::string listed(const std::vector<std::string>& all) {
  const auto end = all.begin() + static_cast<std::ptrdiff_t>(std::min(all.size(), kListed));
  auto text = fmt::format("{}", fmt::join(all.begin(), end, ", "));
  if (all.size() > kListed) text += fmt::format(" and {} more", all.size() - kListed);
  return text;
}

std::string text_of(const std::vector<std::int64_t>& shape) {
  return fmt::format("({})", fmt::join(shape, ", "));
}

/// "fc1." of "fc1.weight".
std::string_view layer_of(std::string_view name) {
  const auto dot = name.rfind('.');
  return dot == name.npos ? std::string_view() : name.substr(0, dot + 1);
}

/// What the two sides do not have in common, under the names that the renamings have made.
struct Left {
  std::vector<const NamedTensor*> missing;  ///< ours
  std::vector<NamedTensor> over;            ///< theirs
};

bool may_be(const NamedTensor& a, const NamedTensor& b) {
  return !a.shape || !b.shape || *a.shape == *b.shape;
}

/// "module.*=*", if names of ours stand behind one prefix in names of theirs or the other way
/// round.
std::vector<std::string> by_prefix(const Left& left) {
  std::unordered_map<std::string_view, const NamedTensor*> over;
  for (const auto& tensor : left.over) over.emplace(tensor.name, &tensor);
  std::unordered_map<std::string_view, const NamedTensor*> missing;
  for (const auto* tensor : left.missing) missing.emplace(tensor->name, tensor);
  std::map<std::string, std::size_t> votes;
  const auto vote = [&votes](const auto& longer, const auto& shorter, std::string_view form) {
    for (const auto& [name, tensor] : longer) {
      for (auto dot = name.find('.'); dot != name.npos; dot = name.find('.', dot + 1)) {
        const auto found = shorter.find(name.substr(dot + 1));
        if (found == shorter.end() || !may_be(*tensor, *found->second) || dot > kLongest) continue;
        ++votes[fmt::format(fmt::runtime(form), name.substr(0, dot + 1))];
      }
    }
  };
  vote(over, missing, "{}*=*");
  vote(missing, over, "*={}*");
  const auto most = std::max_element(
      votes.begin(), votes.end(), [](const auto& a, const auto& b) { return a.second < b.second; });
  if (most == votes.end()) return {};
  return {most->first};
}

/// {"0.*=fc1.*", "2.*=fc2.*"}, if the two have as many layers, each of tensors of the same names.
std::vector<std::string> by_layer(const Left& left) {
  using Layers = std::vector<std::pair<std::string, std::vector<const NamedTensor*>>>;
  const auto add = [](Layers& layers, const NamedTensor& tensor) {
    const std::string layer(layer_of(tensor.name));
    if (layers.empty() || layers.back().first != layer) layers.push_back({layer, {}});
    layers.back().second.push_back(&tensor);
  };
  Layers theirs, ours;
  for (const auto& tensor : left.over)
    if (!is_beside_the_point(tensor.name)) add(theirs, tensor);
  for (const auto* tensor : left.missing) add(ours, *tensor);
  if (theirs.size() != ours.size() || theirs.empty()) return {};
  std::vector<std::string> rules;
  for (std::size_t i = 0; i < theirs.size(); ++i) {
    const auto& [from, from_tensors] = theirs[i];
    const auto& [to, to_tensors] = ours[i];
    const auto same = [&](const NamedTensor* a) {
      return std::any_of(to_tensors.begin(), to_tensors.end(), [&](const NamedTensor* b) {
        return a->name.substr(from.size()) == b->name.substr(to.size()) && may_be(*a, *b);
      });
    };
    if (from.empty() || to.empty() || from.size() > kLongest ||
        from_tensors.size() != to_tensors.size() ||
        !std::all_of(from_tensors.begin(), from_tensors.end(), same))
      return {};
    rules.push_back(from + "*=" + to + "*");
  }
  return rules;
}

/// "fc1.wieght=fc1.weight".
std::vector<std::string> by_likeness(const Left& left) {
  std::vector<std::string> names;
  for (const auto& tensor : left.over) {
    if (names.size() < kCompared && tensor.name.size() <= kLongest) names.push_back(tensor.name);
  }
  for (std::size_t i = 0; i < std::min(left.missing.size(), kListed); ++i) {
    const auto near = nearest(left.missing[i]->name, names);
    if (!near.empty()) return {near + "=" + left.missing[i]->name};
  }
  return {};
}

/// Rules that bring something nearer, if there are any that can be guessed and written as rules.
std::vector<std::string> example(const Left& left) {
  for (const auto guess : {by_prefix, by_layer, by_likeness}) {
    const auto rules = guess(left);
    if (rules.empty()) continue;
    try {
      // One rule is applied after the other: a name that one makes must not be the next one's.
      const auto names = renamings(rules);
      std::size_t met = 0;
      for (const auto& tensor : left.over) {
        const auto name = renamed(tensor.name, names);
        met += static_cast<std::size_t>(
            std::any_of(left.missing.begin(), left.missing.end(),
                        [&](const NamedTensor* one) { return one->name == name; }));
        if (met >= rules.size()) return rules;
      }
    } catch (const Error&) {  // a name with a * or = in it
    }
  }
  return {};
}

std::string advice_for(const Left& left, const std::vector<Renaming>& names, bool shapes) {
  if (left.missing.empty() && left.over.empty())
    return shapes
               ? "a file fits a network of the same widths, on data of the same shape and classes"
               : "";
  if (left.missing.empty())
    return "weights_names = [\"" + shown(left.over.front().name) + "=\"] leaves a tensor out";
  const auto rules = example(left);
  if (rules.empty())
    return left.over.empty() ? "the file has to have them: save the whole state_dict"
                             : "weights_names = [\"THEIRS=OURS\", ...] says which is which";
  std::vector<std::string> all;
  for (const auto& name : names) all.push_back('"' + name.text() + '"');
  for (const auto& rule : rules) {
    if (all.size() == names.size() + kExampleRules) {
      all.emplace_back("...");
      break;
    }
    all.push_back('"' + rule + '"');
  }
  return fmt::format("if they are the same under other names: weights_names = [{}]",
                     fmt::join(all, ", "));
}

}  // namespace

Renaming::Renaming(std::string_view text) {
  const auto refuse = [&](const std::string& why) {
    throw Error(ExitCode::Usage, fmt::format("\"{}\" renames nothing: {}", text, why),
                "write \"THEIRS=OURS\", as in \"module.*=*\" or \"head.weight=fc.weight\"");
  };
  const auto equals = text.find('=');
  if (equals == text.npos) refuse("there is no =");
  theirs_ = text.substr(0, equals);
  ours_ = text.substr(equals + 1);
  const auto stars = [](const std::string& side) {
    return std::count(side.begin(), side.end(), '*');
  };
  if (theirs_.empty()) refuse("nothing stands before the =");
  if (ours_.find('=') != ours_.npos) refuse("there is more than one =");
  if (stars(theirs_) > 1 || stars(ours_) > 1) refuse("a side may have one *");
  if (!ours_.empty() && stars(theirs_) != stars(ours_)) refuse("a * has to stand on both sides");
}

std::string Renaming::of(const std::string& name) const {
  const auto star = theirs_.find('*');
  if (star == theirs_.npos) return name == theirs_ ? ours_ : name;
  const std::string_view before = std::string_view(theirs_).substr(0, star);
  const std::string_view after = std::string_view(theirs_).substr(star + 1);
  if (name.size() < before.size() + after.size() || !name.starts_with(before) ||
      !name.ends_with(after))
    return name;
  auto out = ours_;
  if (const auto at = out.find('*'); at != out.npos)
    out.replace(at, 1, name, before.size(), name.size() - before.size() - after.size());
  return out;
}

std::vector<Renaming> renamings(const std::vector<std::string>& texts) {
  return {texts.begin(), texts.end()};
}

std::string renamed(std::string name, const std::vector<Renaming>& names) {
  for (const auto& one : names) {
    if (name.empty()) break;
    name = one.of(name);
  }
  return name;
}

bool is_beside_the_point(std::string_view name) {
  return name == "num_batches_tracked" || name.ends_with(".num_batches_tracked") ||
         name.starts_with("optimizer.moment.");
}

Matching match_tensors(const std::vector<NamedTensor>& theirs, const std::vector<NamedTensor>& ours,
                       const std::vector<Renaming>& names) {
  std::unordered_map<std::string_view, std::size_t> places;
  for (std::size_t i = 0; i < ours.size(); ++i) places.emplace(ours[i].name, i);
  std::vector<bool> met(ours.size(), false);
  Matching out;
  Left left;
  std::vector<std::string> missing, over, twice, shapes;
  for (std::size_t i = 0; i < theirs.size(); ++i) {
    const auto name = renamed(theirs[i].name, names);
    if (name.empty()) continue;
    const auto known = shown(theirs[i].name) +
                       (name == theirs[i].name ? "" : fmt::format(" (here {})", shown(name)));
    const auto place = places.find(name);
    if (place == places.end()) {
      if (is_beside_the_point(name)) continue;
      left.over.push_back({name, theirs[i].shape});
      over.push_back(known);
    } else if (met[place->second]) {
      twice.push_back(known);
    } else {
      met[place->second] = true;
      const auto& own = ours[place->second];
      if (may_be(theirs[i], own)) {
        out.pairs.emplace_back(i, place->second);
      } else {
        shapes.push_back(fmt::format("{} is {} in the file and {} here", known,
                                     text_of(*theirs[i].shape), text_of(*own.shape)));
      }
    }
  }
  for (std::size_t i = 0; i < ours.size(); ++i) {
    if (met[i] || is_beside_the_point(ours[i].name)) continue;
    left.missing.push_back(&ours[i]);
    missing.push_back(ours[i].name);
  }
  std::vector<std::string> wrong;
  if (!missing.empty()) wrong.push_back("the file lacks " + listed(missing));
  if (!over.empty()) wrong.push_back("the network has no " + listed(over));
  if (!shapes.empty()) wrong.push_back("shapes differ: " + listed(shapes));
  if (!twice.empty()) wrong.push_back("more than one tensor is " + listed(twice));
  out.wrong = fmt::format("{}", fmt::join(wrong, "; "));
  if (!wrong.empty()) out.advice = advice_for(left, names, !shapes.empty());
  return out;
}

}  // namespace perturb
