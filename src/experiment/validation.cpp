#include <algorithm>
#include <map>
#include <set>

#include <fmt/format.h>

#include "experiment/beginnings.h"
#include "experiment/state.h"
#include "perturb/core/name_pattern.h"

namespace perturb {
namespace {

std::string section_of(std::string_view path) {
  return std::string(path.substr(0, path.find('.')));
}

}  // namespace

void Experiment::State::validate(const std::shared_ptr<const Source>& file, Problems& problems) {
  variations = declared.variations.size();
  if (variations == 0 || problems.any()) return;
  first_of_entry = {0};
  std::size_t alternatives = 0;
  for (const auto& entered : declared.interventions) {
    alternatives += std::min(entered.grid.size(), kGridLimit + 1);
    first_of_entry.push_back(alternatives);
  }
  if (variations > kGridLimit || alternatives >= kGridLimit ||
      variations * (alternatives + 1) > kGridLimit) {
    problems.error(
        {file, 0, 0}, fmt::format("the experiment has more than {} trials", kGridLimit),
        "levels multiply: pair keys with zip, or list the points that matter with any_of");
    return;
  }
  find_factors();
  one_data_set = std::none_of(factors.begin(), factors.end(), [](const std::string& path) {
    return (path.starts_with("data.") && path != "data.batch_size") ||
           (path.starts_with("set.data.") && path != "set.data.batch_size");
  });
  check_kinds(file, problems);
  if (problems.any()) return;
  check_values(problems);
  if (problems.any()) return;
  check_sections(problems);
  check_links(problems);
  check_features(problems);
  check_patterns(problems);
  check_weights(problems);
  if (problems.any()) return;
  check_references(problems);
  if (problems.any()) return;
  check_windows(problems);
  for (const auto& [reference, link] : links) {
    // Of what is generated, each seed begins with another network.
    if (!link->generated())
      warn_of_one_beginning(declared, reference, link->experiment(), problems);
  }
}

std::vector<Condition> Experiment::State::sample() const {
  const std::size_t tried = std::min<std::size_t>(variations, 64);
  std::vector<Condition> out;
  for (std::size_t i = 0; i < tried; ++i)
    out.push_back(condition(declared.variations.at(i * variations / tried)));
  return out;
}

void Experiment::State::check_sections(Problems& problems) const {
  std::map<std::string, Place> written;
  for (const auto& [path, field] : declared.base) written[section_of(path)] = field.place;
  const std::size_t tried = std::min<std::size_t>(variations, 64);
  for (std::size_t i = 0; i < tried; ++i) {
    const auto point = declared.variations.at(i * variations / tried);
    const auto varied = condition(point);
    auto places = written;
    for (const auto* setting : point) places[section_of(setting->path)] = setting->level.place;
    check_sections(varied, places, problems);
    for (const auto& entered : declared.interventions) {
      for (std::size_t j = 0; j < std::min<std::size_t>(entered.grid.size(), 64); ++j) {
        auto changed = varied;
        auto there = places;
        for (const auto* setting : entered.grid.at(j)) {
          if (!setting->path.starts_with("set.") || setting->level.kind != Level::Kind::Value)
            continue;
          const auto path = setting->path.substr(4);
          // Another kind has other keys; what it is given then is checked value by value alone.
          if (path.ends_with(".kind") || !changed.has(path)) continue;
          changed.set(path, setting->level.value);
          there[section_of(path)] = setting->level.place;
        }
        if (!(changed == varied)) check_sections(changed, there, problems);
      }
    }
  }
}

void Experiment::State::check_sections(const Condition& condition,
                                       const std::map<std::string, Place>& places,
                                       Problems& problems) const {
  for (const auto& section : sections()) {
    const auto* component = schema->find(
        section.family, section.has_kind ? condition.text(section.kind_path) : std::string());
    if (!component || !component->check) continue;
    std::map<std::string, Value> values;
    for (const auto& parameter : component->parameters)
      values[parameter.name] = condition.at(std::string(section.name) + "." + parameter.name);
    if (const auto wrong = component->check(values); !wrong.empty())
      problems.error(places.at(std::string(section.name)), wrong);
  }
}

void Experiment::State::check_features(Problems& problems) const {
  for (const auto& [signature, prototype] : prototypes) {
    const auto* task = schema->find(Family::Task, prototype.text("task.kind"));
    const auto check = [&](const Component& component, const Place& place) {
      for (const auto feature : component.needs) {
        if (std::find(task->has.begin(), task->has.end(), feature) != task->has.end()) continue;
        problems.error(place, fmt::format("{} \"{}\" has no place in task \"{}\": it needs {}",
                                          name_of(component.family), component.name, task->name,
                                          name_of(feature)));
      }
    };
    for (const auto& entered : declared.interventions) {
      for (const auto& part : entered.parts) check(*part.component, part.place);
    }
    for (std::size_t i = 0; i < declared.metrics.size(); ++i) {
      const auto* metric = schema->find(Family::Metric, declared.metrics[i].kind);
      check(*metric, declared.metric_places[i]);
    }
  }
}

void Experiment::State::check_patterns(Problems& problems) const {
  std::set<std::string> seen;
  for (const auto& condition : sample()) {
    const auto* model = schema->find(Family::Model, condition.text("model.kind"));
    if (!model->parts) continue;
    std::string key;
    for (const auto& [path, value] : condition) {
      if (path.starts_with("model.")) key += framed(canonical(value));
    }
    if (!seen.insert(key).second) continue;
    const auto parts = model->parts(condition);
    const auto check = [&](const Parameter* p, const Value& value, const Place& place) {
      if (p && p->selects != Selects::Nothing)
        check_pattern(value.as_string(), parts_of(parts, p->selects), *model, place, problems);
    };
    for (const auto& entered : declared.interventions) check_patterns(entered, check);
    for (std::size_t i = 0; i < declared.metrics.size(); ++i) {
      const auto& spec = declared.metrics[i];
      const auto* metric = schema->find(Family::Metric, spec.kind);
      for (const auto& [name, value] : spec.parameters)
        check(metric->find(name), value, declared.metric_places[i]);
    }
  }
}

void Experiment::State::check_patterns(const Entered& entered, const CheckPattern& check) {
  for (const auto& part : entered.parts) {
    for (const auto& [name, value] : part.defaults)
      check(part.component->find(name), value, part.place);
  }
  for (const auto& axis : entered.grid.axes) {
    for (const auto& choice : axis.choices) {
      for (const auto& setting : choice) {
        if (setting.level.kind == Level::Kind::Value && !setting.path.starts_with("set."))
          check(entered.parts[setting.part].component->find(setting.path), setting.level.value,
                setting.level.place);
      }
    }
  }
}

const std::vector<std::string>& Experiment::State::parts_of(const ModelParts& parts,
                                                            Selects selects) {
  if (selects == Selects::Points) return parts.points;
  return selects == Selects::Units ? parts.units : parts.parameters;
}

void Experiment::State::check_pattern(const std::string& pattern,
                                      const std::vector<std::string>& names, const Component& model,
                                      const Place& place, Problems& problems) {
  if (std::any_of(names.begin(), names.end(),
                  [&](const std::string& name) { return matches(pattern, name); }))
    return;
  if (names.empty()) {
    problems.error(place, fmt::format("model \"{}\" has nothing of the kind that \"{}\" is to "
                                      "select",
                                      model.name, pattern));
    return;
  }
  const auto near = nearest(pattern, names);
  problems.error(place, fmt::format("\"{}\" matches nothing of model \"{}\"", pattern, model.name),
                 near.empty() ? fmt::format("there are {}", fmt::join(names, ", "))
                              : fmt::format("did you mean \"{}\"? There are {}", near,
                                            fmt::join(names, ", ")));
}

void Experiment::State::check_references(Problems& problems) const {
  for (std::size_t i = 0; i < declared.metrics.size(); ++i) {
    if (!declared.metrics[i].relative()) continue;
    check_reference(declared.metrics[i].parameters.at("to").as_string(), declared.metric_places[i],
                    problems);
  }
  for (const auto& entered : declared.interventions) {
    const bool may_draw =
        std::any_of(entered.parts.begin(), entered.parts.end(),
                    [](const Part& part) { return part.component->find("toward") != nullptr; });
    if (may_draw) check_drawn(entered, problems);
  }
}

void Experiment::State::check_drawn(const Entered& entered, Problems& problems) const {
  for (std::size_t i = 0; i < entered.grid.size(); ++i) {
    const auto point = entered.grid.at(i);
    std::set<std::string> drawn_to;
    for (const auto* setting : point) {
      if (setting->path != "toward" || setting->level.value == Value("init")) continue;
      const auto& other = setting->level.value.as_string();
      check_reference(other, setting->level.place, problems);
      if (problems.any()) return;
      if (drawn_to.insert(other).second && drawn_to.size() > 1)
        problems.error(setting->level.place, "one intervention draws toward one trial alone");
      const auto operation = this->operation(entered.parts[setting->part], setting->part, point,
                                             condition(declared.variations.at(0)));
      Step steps = 0;
      for (const auto& w : operation.windows) steps += std::min(w.end - w.begin, kMostDrawn + 1);
      if (steps > kMostDrawn)
        problems.error(setting->level.place,
                       fmt::format("toward another trial in more than {} steps", kMostDrawn),
                       "give a window: when = [100, 110]");
    }
  }
}

void Experiment::State::check_reference(const std::string& text, const Place& place,
                                        Problems& problems) const {
  if (text == "control") return;
  const auto varied = declared.variations.paths();
  for (const auto& [path, value] : reference_values(text)) {
    if (std::find(varied.begin(), varied.end(), path) != varied.end()) continue;
    problems.error(place, fmt::format("\"{}\" does not vary in this experiment", path),
                   suggestion(path, varied));
    return;
  }
  for (std::size_t v = 0; v < variations; v += std::max<std::size_t>(1, variations / 64)) {
    if (reference(text, v)) continue;
    problems.error(place, fmt::format("no variation has {}", text.substr(kTrial.size())),
                   "`perturb plan` lists what varies");
    return;
  }
}

void Experiment::State::find_factors() {
  factors = declared.variations.paths();
  for (const auto& entered : declared.interventions) {
    for (const auto& axis : entered.grid.axes) {
      for (const auto& choice : axis.choices) {
        for (const auto& setting : choice) {
          if (setting.path == "when") continue;
          auto name = factor_name(entered, setting);
          if (std::find(factors.begin(), factors.end(), name) == factors.end())
            factors.push_back(std::move(name));
        }
      }
    }
  }
}

Grid Experiment::State::kind_grid() const {
  Grid out;
  for (const auto& axis : declared.variations.axes) {
    const bool chooses =
        std::any_of(axis.choices.begin(), axis.choices.end(), [](const Choice& choice) {
          return std::any_of(choice.begin(), choice.end(),
                             [](const Setting& s) { return s.path.ends_with(".kind"); });
        });
    if (chooses) out.axes.push_back(axis);
  }
  return out;
}

void Experiment::State::check_kinds(const std::shared_ptr<const Source>& file, Problems& problems) {
  const auto grid = kind_grid();
  const auto varied = declared.variations.paths();
  for (std::size_t i = 0; i < grid.size(); ++i) {
    const auto choice = grid.at(i);
    std::vector<std::string> missing;
    auto prototype = this->prototype(choice, missing);
    for (const auto& path : missing) {
      if (std::find(varied.begin(), varied.end(), path) != varied.end()) continue;
      say_missing(path, prototype, file, problems);
    }
    for (const auto* setting : choice) check_known(*setting, setting->path, prototype, problems);
    for (const auto& axis : declared.variations.axes) {
      if (std::any_of(grid.axes.begin(), grid.axes.end(),
                      [&](const Axis& a) { return same_keys(a, axis); }))
        continue;
      for (const auto& each : axis.choices) {
        for (const auto& setting : each) check_known(setting, setting.path, prototype, problems);
      }
    }
    check_sets(prototype, problems);
    prototypes.emplace(kinds_of(choice), std::move(prototype));
  }
}

bool Experiment::State::same_keys(const Axis& a, const Axis& b) {
  // A path varies in one axis only, so the first one tells axes apart.
  return !a.choices.empty() && !b.choices.empty() && !a.choices[0].empty() &&
         !b.choices[0].empty() && a.choices[0][0].path == b.choices[0][0].path;
}

void Experiment::State::say_missing(const std::string& path, const Condition& condition,
                                    const std::shared_ptr<const Source>& file,
                                    Problems& problems) const {
  const auto section = section_of(path);
  if (path.ends_with(".kind")) {
    std::vector<std::string> names;
    for (const auto& s : sections()) {
      if (s.name == section) names = schema->names(s.family);
    }
    problems.error(
        {file, 0, 0}, fmt::format("the experiment does not say which {} it uses", section),
        fmt::format("write [{}] and kind = \"...\"; {}", section, suggestion("", names)));
  } else {
    const auto* p = schema->parameter(condition, path);
    problems.error({file, 0, 0}, fmt::format("\"{}\" is needed and has no default", path),
                   p ? p->help : "");
  }
}

void Experiment::State::check_known(const Setting& setting, const std::string& path,
                                    const Condition& condition, Problems& problems) const {
  if (path.ends_with(".kind") || schema->parameter(condition, path)) return;
  const auto section = section_of(path);
  problems.error(
      setting.level.place,
      fmt::format("\"{}\" {}, but {} \"{}\" has no such parameter", path,
                  setting.path == path ? "varies" : "is set", section,
                  condition.text(section + ".kind")),
      fmt::format("it belongs to: {}; any_of = [{{...}}, {{...}}] gives each kind its own levels",
                  fields.kinds_with(path)));
}

void Experiment::State::check_sets(const Condition& prototype, Problems& problems) const {
  for (const auto& entered : declared.interventions) {
    for (std::size_t i = 0; i < entered.grid.size(); ++i) {
      auto condition = prototype;
      const auto choice = entered.grid.at(i);
      for (const auto* setting : choice) {
        if (setting->path.starts_with("set.") && setting->path.ends_with(".kind"))
          condition.set(setting->path.substr(4), setting->level.value);
      }
      for (const auto* setting : choice) {
        if (!setting->path.starts_with("set.")) continue;
        const auto path = setting->path.substr(4);
        check_known(*setting, path, condition, problems);
        if (setting->level.kind != Level::Kind::Value && !prototype.has(path)) {
          problems.error(
              setting->level.place,
              fmt::format("\"{}\" has no value that a relative level could start from", path));
        }
      }
    }
  }
}

void Experiment::State::check_values(Problems& problems) const {
  for (const auto& [signature, prototype] : prototypes) {
    for (const auto& axis : declared.variations.axes) {
      for (const auto& choice : axis.choices) {
        for (const auto& setting : choice)
          check_value(setting, setting.path, prototype, {prototype.find(setting.path)}, problems);
      }
    }
    for (const auto& entered : declared.interventions) {
      for (const auto& axis : entered.grid.axes) {
        for (const auto& choice : axis.choices) {
          for (const auto& setting : choice) {
            if (!setting.path.starts_with("set.")) continue;
            const auto path = setting.path.substr(4);
            const auto held = values_of(path, prototype);
            std::vector<const Value*> formers;
            for (const auto& value : held) formers.push_back(&value);
            check_value(setting, path, prototype, formers, problems);
          }
        }
      }
    }
  }
}

std::vector<Value> Experiment::State::values_of(const std::string& path,
                                                const Condition& prototype) const {
  std::vector<Value> out;
  for (const auto& axis : declared.variations.axes) {
    for (const auto& choice : axis.choices) {
      for (const auto& setting : choice) {
        if (setting.path != path || !prototype.has(path)) continue;
        if (auto value = applied(setting.level, prototype.at(path)))
          out.push_back(std::move(*value));
      }
    }
  }
  if (out.empty() && prototype.has(path)) out.push_back(prototype.at(path));
  return out;
}

void Experiment::State::check_value(const Setting& setting, const std::string& path,
                                    const Condition& condition,
                                    const std::vector<const Value*>& formers,
                                    Problems& problems) const {
  const auto* parameter = schema->parameter(condition, path);
  if (!parameter || setting.level.kind == Level::Kind::When) return;
  for (const auto* former : formers) {
    if (!former) continue;
    const auto value = applied(setting.level, *former);
    if (!value) {
      problems.error(
          setting.level.place,
          fmt::format("\"{}\" takes integers, but the relative level makes {} no integer", path,
                      display(*former)));
      return;
    }
    if (const auto wrong = out_of_range(*value, *parameter); !wrong.empty()) {
      problems.error(setting.level.place, fmt::format("\"{}\": {}", path, wrong));
      return;
    }
  }
}

bool Experiment::State::check_window(std::size_t alternative, std::size_t part, const Place& place,
                                     std::size_t tried, Problems& problems) const {
  Step furthest = -1;
  std::size_t most = 0;
  std::size_t all = 0;
  for (std::size_t i = 0; i < tried; ++i) {
    const auto t = trial(i * variations / tried, alternative + 1);
    const auto last = end(t.timeline);
    if (data_facts(t.start()).train == 0) return false;
    const auto& windows = t.operations[part].windows;
    const auto reached = static_cast<std::size_t>(std::count_if(
        windows.begin(), windows.end(), [&](const Window& w) { return w.begin < last; }));
    furthest = std::max(furthest, last);
    most = std::max(most, reached);
    all = std::max(all, windows.size());
  }
  if (all == 0 || most == all) return true;
  if (most == 0) {
    problems.error(place,
                   fmt::format("the intervention never acts: the run ends at step {}", furthest),
                   "move the window, or train longer: train.epochs");
  } else {
    problems.warning(place, fmt::format("{} of {} ranges lie past the end of the run at step {}",
                                        all - most, all, furthest));
  }
  return true;
}

void Experiment::State::check_windows(Problems& problems) {
  const std::size_t tried = std::min<std::size_t>(variations, 64);
  for (std::size_t a = 0; a < first_of_entry.back(); ++a) {
    const auto [entered, choice] = alternative(a);
    for (std::size_t part = 0; part < entered->parts.size(); ++part) {
      const auto when = std::find_if(choice.begin(), choice.end(), [&](const Setting* s) {
        return s->part == part && s->level.kind == Level::Kind::When;
      });
      if (when == choice.end() || (*when)->level.when.ranges.empty()) continue;
      if (!check_window(a, part, (*when)->level.place, tried, problems)) return;
    }
  }
  for (std::size_t i = 0; i < declared.metrics.size(); ++i) {
    const auto& every = declared.metrics[i].every;
    if (every.kind != Every::Kind::Listed) continue;
    const auto last = end(trial(0, 0).timeline);
    const auto furthest = *std::max_element(every.steps.begin(), every.steps.end());
    if (last > 0 && furthest > last) {
      problems.warning(declared.metric_places[i],
                       fmt::format("step {} of \"{}\" lies past the end of the run at step {}",
                                   furthest, declared.metrics[i].label, last));
    }
  }
}

}  // namespace perturb
