#include "experiment/link.h"

#include <algorithm>
#include <cmath>

#include <fmt/format.h>
#include <fmt/ranges.h>
#include <nlohmann/json.hpp>

#include "experiment/problems.h"

namespace perturb {
namespace {

using Json = nlohmann::json;

constexpr std::size_t kShownLevels = 8;

Value value_of(const Json& json) {
  if (json.is_boolean()) return json.get<bool>();
  if (json.is_number_float()) return json.get<double>();
  if (json.is_number_integer()) return json.get<std::int64_t>();
  if (json.is_string()) return json.get<std::string>();
  List all;
  for (const auto& item : json) all.push_back(value_of(item));
  return all;
}

/// One text for 1 and 1.0: a selection does not know the type of what it selects.
std::string comparable(const Value& value) {
  if (value.is_int()) return canonical(Value(value.as_float()));
  if (!value.is_list()) return canonical(value);
  std::string text = "[";
  for (const auto& item : value.as_list()) text += framed(comparable(item));
  return text;
}

/// Whether a selected value is that level, or a list with it.
bool leaves(const Value& selected, const Value& level) {
  if (comparable(selected) == comparable(level)) return true;
  if (!selected.is_list()) return false;
  const auto& items = selected.as_list();
  return std::any_of(items.begin(), items.end(),
                     [&](const Value& item) { return comparable(item) == comparable(level); });
}

std::string said(const std::string& path, const Value& value) {
  return path + "=" + display(value);
}

/// Of numbers: the level nearest to a value; otherwise nothing.
std::optional<Value> nearest_level(const Value& value, const std::vector<Value>& levels) {
  if (!value.is_number()) return std::nullopt;
  const Value* best = nullptr;
  for (const auto& level : levels) {
    if (!level.is_number()) return std::nullopt;
    const auto distance = [&](const Value& one) {
      return std::abs(one.as_float() - value.as_float());
    };
    if (!best || distance(level) < distance(*best)) best = &level;
  }
  return best ? std::optional(*best) : std::nullopt;
}

}  // namespace

std::filesystem::path Link::file_of(const std::string& reference) {
  return Json::parse(reference).at("experiment").get<std::string>();
}

std::string Link::reference_of(const std::string& file, const std::string& at,
                               const std::string& select) {
  return Json{{"experiment", file},
              {"at", at == "end" ? Json(at) : Json::parse(at)},
              {"select", Json::parse(select)}}
      .dump();
}

Link::Link(const std::string& reference, std::size_t other,
           std::shared_ptr<const Experiment> experiment)
    : other_(other), experiment_(std::move(experiment)), varied_(experiment_->varied()) {
  const auto json = Json::parse(reference);
  const auto& at = json.at("at");
  if (at.is_number()) step_ = at.get<Step>();
  if (at.is_object()) epochs_ = at.at("epochs").get<std::int64_t>();
  generated_ = json.value("generated", false);
  if (json.contains("select")) {
    for (const auto& [path, value] : json.at("select").items()) select_[path] = value_of(value);
  }
  for (std::size_t v = 0; v < experiment_->variations(); ++v) {
    const auto condition = experiment_->condition(v);
    std::vector<const Value*> values;
    for (const auto& path : varied_) values.push_back(condition.find(path));
    places_.emplace(key_of(values), v);
  }
}

std::string Link::text() const {
  std::vector<std::string> details;
  if (generated_) details.emplace_back("generated");
  if (step_) details.push_back(fmt::format("at step {}", *step_));
  if (epochs_) details.push_back(fmt::format("after {} epochs", *epochs_));
  for (const auto& [path, value] : select_) details.push_back(said(path, value));
  const auto& name = experiment_->name();
  return details.empty() ? name : fmt::format("{}({})", name, fmt::join(details, ", "));
}

std::pair<std::string, std::string> Link::wrong_selection() const {
  const auto first = experiment_->condition(0);
  for (const auto& [path, value] : select_) {
    if (std::find(varied_.begin(), varied_.end(), path) != varied_.end()) continue;
    const auto* own = first.find(path);
    if (!own) {
      std::vector<std::string> paths;
      for (const auto& [known, ignored] : first) paths.push_back(known);
      return {fmt::format("\"{}\" is no field of the trials of \"{}\"", path, experiment_->name()),
              suggestion(path, paths)};
    }
    if (leaves(value, *own)) continue;
    return {fmt::format("no trial of \"{}\" has {}", experiment_->name(), said(path, value)),
            fmt::format("all of them have {}", said(path, *own))};
  }
  return {};
}

std::vector<const Value*> Link::wanted(const Condition& own) const {
  std::vector<const Value*> values;
  for (const auto& path : varied_) {
    const auto selected = select_.find(path);
    values.push_back(selected != select_.end() ? &selected->second : own.find(path));
  }
  return values;
}

std::string Link::key_of(const std::vector<const Value*>& values) {
  std::string key;
  for (const auto* value : values) key += value ? framed(comparable(*value)) : "-";
  return key;
}

std::optional<std::size_t> Link::variation(const Condition& own) const {
  const auto found = places_.find(key_of(wanted(own)));
  return found != places_.end() ? std::optional(found->second) : std::nullopt;
}

std::vector<Value> Link::levels(const std::string& path) const {
  std::vector<Value> all;
  std::map<std::string, bool> seen;
  for (std::size_t v = 0; v < experiment_->variations(); ++v) {
    const auto condition = experiment_->condition(v);
    const auto* value = condition.find(path);
    if (value && seen.emplace(canonical(*value), true).second) all.push_back(*value);
  }
  return all;
}

std::string Link::levels_text(const std::string& path, const Value* wanted) const {
  const auto all = levels(path);
  auto text = path + ":";
  for (std::size_t l = 0; l < std::min(all.size(), kShownLevels); ++l)
    text += (l > 0 ? ", " : " ") + display(all[l]);
  if (all.size() > kShownLevels) text += fmt::format(", ... ({} in all)", all.size());
  if (!wanted) return text;
  if (const auto near = nearest_level(*wanted, all))
    text += fmt::format(" (nearest to {}: {})", display(*wanted), display(*near));
  return text;
}

std::vector<std::size_t> Link::selected() const {
  std::vector<std::size_t> all;
  for (std::size_t v = 0; v < experiment_->variations(); ++v) {
    const auto condition = experiment_->condition(v);
    const bool left = std::all_of(select_.begin(), select_.end(), [&](const auto& one) {
      const auto* level = condition.find(one.first);
      return level && leaves(one.second, *level);
    });
    if (left) all.push_back(v);
  }
  return all;
}

std::pair<std::string, std::string> Link::wrong_values() const {
  std::string selection;
  for (const auto& [path, value] : select_) {
    selection += (selection.empty() ? "" : " ") + said(path, value);
    if (std::find(varied_.begin(), varied_.end(), path) == varied_.end()) continue;
    const auto all = levels(path);
    const auto is_level = [&](const Value& one) {
      return std::any_of(all.begin(), all.end(),
                         [&](const Value& level) { return comparable(level) == comparable(one); });
    };
    if (is_level(value)) continue;
    for (const auto& one : value.is_list() ? value.as_list() : List{value}) {
      if (is_level(one)) continue;
      return {fmt::format("no trial of \"{}\" has {}", experiment_->name(), said(path, one)),
              "it varies " + levels_text(path, &one)};
    }
  }
  if (!selected().empty()) return {};
  return {fmt::format("no trial of \"{}\" has {}", experiment_->name(), selection),
          "there are trials with each of these values, but none with all of them"};
}

std::pair<std::string, std::string> Link::no_match(const Condition& own) const {
  const auto values = wanted(own);
  std::string looked_for;
  std::string there;
  for (std::size_t i = 0; i < varied_.size(); ++i) {
    const auto& path = varied_[i];
    looked_for += looked_for.empty() ? "" : " ";
    looked_for += values[i] ? said(path, *values[i]) : "no " + path;
    const auto all = levels(path);
    const bool has = values[i] && std::any_of(all.begin(), all.end(), [&](const Value& level) {
                       return comparable(level) == comparable(*values[i]);
                     });
    there += (there.empty() ? "" : "; ") + levels_text(path, has ? nullptr : values[i]);
  }
  return {fmt::format("no variation of \"{}\" has {}", experiment_->name(), looked_for),
          fmt::format("it varies {}; select = {{...}} in the reference chooses among them", there)};
}

Step Link::step_of(const Trial& control) const {
  if (step_) return *step_;
  if (!epochs_) return experiment_->end(control);
  const auto examples = experiment_->data(control).train;
  return examples > 0 ? Calendar(control.timeline, examples).end_of(*epochs_) : 0;
}

Predecessor Link::predecessor(std::size_t variation) const {
  const std::lock_guard lock(mutex_);
  const auto found = known_.find(variation);
  if (found != known_.end()) return found->second;
  const auto control = experiment_->trial(variation, 0);
  const auto step = step_of(control);
  const auto number = variation * (1 + experiment_->alternatives());
  return known_.emplace(variation, Predecessor{other_, number, step, control.state(step)})
      .first->second;
}

}  // namespace perturb
