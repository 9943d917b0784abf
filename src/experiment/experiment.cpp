#include "perturb/experiment/experiment.h"

#include <algorithm>
#include <cmath>
#include <mutex>
#include <set>

#include <fmt/format.h>

#include "experiment/fields.h"
#include "experiment/grid.h"
#include "experiment/reader.h"
#include "perturb/core/files.h"
#include "perturb/core/name_pattern.h"

namespace perturb {
namespace {

std::string section_of(std::string_view path) {
  return std::string(path.substr(0, path.find('.')));
}

/// A relative level applied to what the field has; integers stay integers.
std::optional<Value> applied(const Level& level, const Value& former) {
  if (level.kind == Level::Kind::Value) return level.value;
  const double x = level.value.as_float();
  const double result =
      level.kind == Level::Kind::Scale ? former.as_float() * x : former.as_float() + x;
  if (!former.is_int()) return Value(result);
  if (!(std::abs(result) < 0x1p53)) return std::nullopt;
  const double whole = std::nearbyint(result);
  if (std::abs(result - whole) > 1e-9 * std::max(1.0, std::abs(result))) return std::nullopt;
  return Value(static_cast<std::int64_t>(whole));
}

bool is_seed(std::string_view path) {
  return path == "seed" || path.starts_with("seeds.") || path.starts_with("set.seeds.");
}

std::string described(const When& when) {
  if (when.kind == When::Kind::Init) return "at init";
  if (when.kind == When::Kind::WholeRun) return {};
  if (when.ranges.size() == 1 && when.ranges[0].second == when.ranges[0].first + 1) {
    return fmt::format("at {} {}", when.kind == When::Kind::Epochs ? "epoch" : "step",
                       when.ranges[0].first);
  }
  std::string text = when.kind == When::Kind::Epochs ? "in epochs" : "in";
  for (const auto& [begin, end] : when.ranges) {
    text +=
        end == kForever ? fmt::format(" [{}, end)", begin) : fmt::format(" [{}, {})", begin, end);
  }
  return text;
}

std::string described(const Setting& setting) {
  const auto& level = setting.level;
  if (level.kind == Level::Kind::When) return described(level.when);
  const auto path = setting.path.starts_with("set.") ? setting.path.substr(4) : setting.path;
  if (level.kind == Level::Kind::Scale) return fmt::format("{} x {}", path, display(level.value));
  if (level.kind == Level::Kind::Add) {
    const double x = level.value.as_float();
    return fmt::format("{} {} {}", path, x < 0 ? "-" : "+", display(Value(std::abs(x))));
  }
  return fmt::format("{}={}", path, display(level.value));
}

}  // namespace

struct Experiment::State {
  State(const Schema& schema_in, DataLookup lookup_in)
      : schema(&schema_in), fields(schema_in), identity(schema_in), lookup(std::move(lookup_in)) {}

  const Schema* schema;
  Fields fields;
  Identity identity;
  DataLookup lookup;
  Declaration declared;
  std::string source;
  std::vector<Diagnostic> warnings;
  std::vector<std::string> factors;
  std::size_t variations = 1;
  std::vector<std::size_t> first_of_entry;  // alternatives before each entry; last: all of them

  // Complete conditions by the kinds of their sections; values that vary are replaced in a copy.
  std::map<std::string, Condition> prototypes;
  bool one_data_set = false;  // no field of [data] but the batch size varies or is set
  mutable std::mutex facts_mutex;
  mutable std::map<std::string, DataFacts> facts;

  std::string kinds_of(const Point& choice) const {
    std::string signature;
    for (const auto& section : sections()) {
      if (section.has_kind) signature += framed(kind_in(section, choice));
    }
    return signature;
  }

  std::string kind_in(const Section& section, const Point& choice) const {
    for (const auto* setting : choice) {
      if (setting->path == section.kind_path) return setting->level.value.as_string();
    }
    const auto base = declared.base.find(std::string(section.kind_path));
    return base != declared.base.end() ? base->second.value.as_string()
                                       : std::string(default_kind(section.family));
  }

  /// Base fields that the kinds know, defaults for the rest. Paths without a value are added to
  /// `missing`.
  Condition prototype(const Point& choice, std::vector<std::string>& missing) const {
    Condition out;
    for (const auto& section : sections()) {
      const auto name = std::string(section.name);
      const auto kind = section.has_kind ? kind_in(section, choice) : std::string();
      const auto* component = schema->find(section.family, kind);
      if (section.has_kind) {
        if (kind.empty()) missing.push_back(name + ".kind");
        out.set(name + ".kind", kind);
      }
      if (!component) continue;
      for (const auto& p : component->parameters) {
        const auto path = name + "." + p.name;
        if (const auto base = declared.base.find(path); base != declared.base.end()) {
          out.set(path, base->second.value);
        } else if (p.fallback) {
          out.set(path, *p.fallback);
        } else {
          const bool varied = std::any_of(choice.begin(), choice.end(),
                                          [&](const Setting* s) { return s->path == path; });
          if (!varied) missing.push_back(path);
          // Holds the place until the variation's value comes.
          out.set(path, Value(0));
        }
      }
    }
    return out;
  }

  Condition condition(const Point& point) const {
    Condition out =
        prototypes.size() == 1 ? prototypes.begin()->second : prototypes.at(kinds_of(point));
    for (const auto* setting : point) {
      if (setting->path.ends_with(".kind")) continue;
      out.set(setting->path, *applied(setting->level, out.at(setting->path)));
    }
    return out;
  }

  std::pair<const Entered*, Point> alternative(std::size_t number) const {
    const auto after = std::upper_bound(first_of_entry.begin(), first_of_entry.end(), number);
    const auto entry = static_cast<std::size_t>(after - first_of_entry.begin()) - 1;
    const auto& entered = declared.interventions[entry];
    return {&entered, entered.grid.at(number - first_of_entry[entry])};
  }

  std::vector<Operation> operations(const Entered& entered, const Point& point,
                                    const Condition& condition) const {
    std::vector<Operation> all;
    for (std::size_t i = 0; i < entered.parts.size(); ++i)
      all.push_back(operation(entered.parts[i], i, point, condition));
    return all;
  }

  Operation operation(const Part& part, std::size_t number, const Point& point,
                      const Condition& condition) const {
    Operation out;
    out.kind = part.kind;
    out.parameters = part.defaults;
    When when;
    when.kind = part.component->moment == Moment::Init ? When::Kind::Init : When::Kind::WholeRun;
    for (const auto* setting : point) {
      if (setting->part != number) continue;
      if (setting->level.kind == Level::Kind::When) {
        when = setting->level.when;
      } else if (setting->path.starts_with("set.")) {
        const auto path = setting->path.substr(4);
        const auto* former = condition.find(path);
        out.parameters[path] = *applied(setting->level, former ? *former : Value(0.0));
      } else {
        out.parameters[setting->path] = setting->level.value;
      }
    }
    complete_kinds(out, condition);
    out.at_init = when.kind == When::Kind::Init;
    if (when.kind == When::Kind::WholeRun) out.windows = {{0, kForever}};
    if (when.kind == When::Kind::Steps) out.windows = windows(when, nullptr);
    if (when.kind == When::Kind::Epochs) {
      // In epochs of the variation itself: an operation cannot move its own window.
      const auto plain = timeline(condition, {});
      const auto examples = data_facts(plain.stretches.front().condition).train;
      const Calendar calendar(plain, std::max<std::int64_t>(examples, 1));
      out.windows = windows(when, &calendar);
    }
    return out;
  }

  /// Where `set` changes a section's kind, the new kind's parameters that the condition lacks get
  /// their defaults; those of the former kind are no longer looked at by anybody.
  void complete_kinds(Operation& operation, const Condition& condition) const {
    for (const auto& section : sections()) {
      const auto kind = operation.parameters.find(std::string(section.name) + ".kind");
      if (operation.kind != "set" || kind == operation.parameters.end()) continue;
      const auto* component = schema->find(section.family, kind->second.as_string());
      for (const auto& p : component->parameters) {
        const auto path = std::string(section.name) + "." + p.name;
        if (p.fallback && !condition.has(path)) operation.parameters.emplace(path, *p.fallback);
      }
    }
  }

  static std::vector<Window> windows(const When& when, const Calendar* calendar) {
    std::vector<Window> out;
    const auto step = [&](std::int64_t bound) {
      return calendar && bound != kForever ? calendar->end_of(bound) : bound;
    };
    for (const auto& [begin, end] : when.ranges) out.push_back({step(begin), step(end)});
    return normalised(std::move(out));
  }

  const DataFacts& data_facts(const Condition& condition) const {
    std::string key;
    for (const auto& [path, value] : condition) {
      if (one_data_set) break;
      if (path.starts_with("data.") && path != "data.batch_size")
        key += framed(path) + framed(canonical(value));
    }
    const std::lock_guard lock(facts_mutex);
    const auto found = facts.find(key);
    // References into a map stay valid; a fact is never changed once it is there.
    return found != facts.end() ? found->second
                                : facts.emplace(key, lookup(condition)).first->second;
  }

  Step end(const Timeline& timeline) const {
    const auto& condition = timeline.stretches.front().condition;
    const auto examples = data_facts(condition).train;
    return examples > 0 ? Calendar(timeline, examples).end_of(condition.integer("train.epochs"))
                        : 0;
  }

  Trial trial(std::size_t variation, std::size_t number) const {
    Trial out;
    out.variation = variation;
    out.alternative = number;
    out.condition = condition(declared.variations.at(variation));
    if (number > 0) {
      const auto [entered, choice] = alternative(number - 1);
      out.operations = operations(*entered, choice, out.condition);
      draw(out);
    }
    out.timeline = timeline(out.condition, out.operations);
    resolve_horizon(out.timeline);
    out.past = identity.past(out.timeline, data_facts(out.start()).digest);
    out.id = trial_digest(out.timeline, out.past);
    return out;
  }

  /// Operations that draw toward another trial name it by its id, which is part of what they are.
  void draw(Trial& trial) const {
    for (auto& operation : trial.operations) {
      if (!operation.draws()) continue;
      auto& toward = operation.parameters.at("toward");
      trial.toward = reference(toward.as_string(), trial.variation);
      toward = this->trial(trial.toward.value(), 0).id.hex();
    }
  }

  /// A schedule that ends with the run is in force through the step at which that is.
  void resolve_horizon(Timeline& timeline) const {
    for (auto& stretch : timeline.stretches) {
      const auto* horizon = stretch.condition.find("schedule.horizon");
      if (!horizon || horizon->as_int() != 0 || stretch.condition.text("schedule.kind") != "cosine")
        continue;
      stretch.condition.set("schedule.horizon", Value(end(timeline)));
    }
  }

  // ---- validation of what only the whole experiment shows

  void validate(const std::shared_ptr<const Source>& file, Problems& problems) {
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
    check_features(problems);
    check_patterns(problems);
    check_references(problems);
    if (problems.any()) return;
    check_windows(problems);
  }

  /// Conditions of variations from all over the grid.
  std::vector<Condition> sample() const {
    const std::size_t tried = std::min<std::size_t>(variations, 64);
    std::vector<Condition> out;
    for (std::size_t i = 0; i < tried; ++i)
      out.push_back(condition(declared.variations.at(i * variations / tried)));
    return out;
  }

  /// Whether every task has what interventions and metrics need.
  void check_features(Problems& problems) const {
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

  /// Whether every pattern of names selects something of every model.
  void check_patterns(Problems& problems) const {
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

  using CheckPattern = std::function<void(const Parameter*, const Value&, const Place&)>;
  static void check_patterns(const Entered& entered, const CheckPattern& check) {
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

  static const std::vector<std::string>& parts_of(const ModelParts& parts, Selects selects) {
    if (selects == Selects::Points) return parts.points;
    return selects == Selects::Units ? parts.units : parts.parameters;
  }

  static void check_pattern(const std::string& pattern, const std::vector<std::string>& names,
                            const Component& model, const Place& place, Problems& problems) {
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
    problems.error(
        place, fmt::format("\"{}\" matches nothing of model \"{}\"", pattern, model.name),
        near.empty()
            ? fmt::format("there are {}", fmt::join(names, ", "))
            : fmt::format("did you mean \"{}\"? There are {}", near, fmt::join(names, ", ")));
  }

  /// What "trial:..." means for every variation.
  void check_references(Problems& problems) const {
    for (std::size_t i = 0; i < declared.metrics.size(); ++i) {
      if (!declared.metrics[i].relative()) continue;
      check_reference(declared.metrics[i].parameters.at("to").as_string(),
                      declared.metric_places[i], problems);
    }
    for (const auto& entered : declared.interventions) check_drawn(entered, problems);
  }

  /// A state of the other trial is kept for every step, so there cannot be very many.
  static constexpr Step kMostDrawn = 1000;

  void check_drawn(const Entered& entered, Problems& problems) const {
    for (std::size_t i = 0; i < entered.grid.size(); ++i) {
      const auto point = entered.grid.at(i);
      std::set<std::string> others;
      for (const auto* setting : point) {
        if (setting->path != "toward" || setting->level.value == Value("init")) continue;
        const auto& other = setting->level.value.as_string();
        check_reference(other, setting->level.place, problems);
        if (problems.any()) return;
        if (others.insert(other).second && others.size() > 1)
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

  void check_reference(const std::string& text, const Place& place, Problems& problems) const {
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

  static constexpr std::string_view kTrial = "trial:";

  /// PATH=VALUE,... of "trial:PATH=VALUE,...".
  static std::vector<std::pair<std::string, std::string>> reference_values(
      const std::string& text) {
    std::vector<std::pair<std::string, std::string>> out;
    for (std::size_t at = kTrial.size(); at < text.size();) {
      const auto end = std::min(text.find(',', at), text.size());
      const auto word = text.substr(at, end - at);
      const auto equals = std::min(word.find('='), word.size());
      out.emplace_back(word.substr(0, equals),
                       equals < word.size() ? word.substr(equals + 1) : std::string());
      at = end + 1;
    }
    return out;
  }

  /// The variation whose control "control" or "trial:..." is for trials of a variation.
  std::optional<std::size_t> reference(const std::string& text, std::size_t variation) const {
    if (text == "control") return variation;
    return declared.variations.neighbour(variation, reference_values(text));
  }

  void find_factors() {
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

  /// Points of the axes that choose kinds: every combination of kinds that occurs.
  Grid kind_grid() const {
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

  /// Makes the prototypes and checks that every varied or set key exists where it is used.
  void check_kinds(const std::shared_ptr<const Source>& file, Problems& problems) {
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

  static bool same_keys(const Axis& a, const Axis& b) {
    // A path varies in one axis only, so the first one tells axes apart.
    return !a.choices.empty() && !b.choices.empty() && !a.choices[0].empty() &&
           !b.choices[0].empty() && a.choices[0][0].path == b.choices[0][0].path;
  }

  void say_missing(const std::string& path, const Condition& condition,
                   const std::shared_ptr<const Source>& file, Problems& problems) const {
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

  void check_known(const Setting& setting, const std::string& path, const Condition& condition,
                   Problems& problems) const {
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

  /// Keys that interventions set must exist under the kinds in force together with them.
  void check_sets(const Condition& prototype, Problems& problems) const {
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

  /// Every value within the range that its own kind gives it, relative levels included.
  void check_values(Problems& problems) const {
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

  /// All values that a field can have before an intervention.
  std::vector<Value> values_of(const std::string& path, const Condition& prototype) const {
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

  void check_value(const Setting& setting, const std::string& path, const Condition& condition,
                   const std::vector<const Value*>& formers, Problems& problems) const {
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

  /// False when nothing can be said because the data are not known.
  bool check_window(std::size_t alternative, std::size_t part, const Place& place,
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

  /// Windows that no run reaches. Whether one does may depend on the variation.
  void check_windows(Problems& problems) {
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
};

Digest MetricSpec::definition() const {
  std::string text = "perturb-metric-1" + framed(kind) + framed(std::to_string(revision));
  for (const auto& [name, value] : parameters) {
    if (std::find(neutral.begin(), neutral.end(), name) == neutral.end())
      text += framed(name) + framed(canonical(value));
  }
  return sha256(text);
}

bool MetricSpec::relative() const {
  const auto to = parameters.find("to");
  return to != parameters.end() && to->second != Value("init");
}

std::vector<std::pair<std::string, Value>> factors_of(const Trial& trial) {
  std::vector<std::pair<std::string, Value>> out;
  for (const auto& [path, value] : trial.condition) out.emplace_back(path, value);
  for (const auto& operation : trial.operations) {
    for (const auto& [name, value] : operation.parameters) {
      out.emplace_back((operation.kind == "set" ? "set." : operation.kind + ".") + name, value);
    }
  }
  return out;
}

std::string to_json(const std::vector<Operation>& operations) {
  std::string text = "[";
  for (const auto& operation : operations) {
    if (text.size() > 1) text += ", ";
    text += "{\"kind\": " + to_json(Value(operation.kind));
    for (const auto& [name, value] : operation.parameters) {
      text += ", " + to_json(Value(name)) + ": " + to_json(value);
    }
    if (operation.at_init) {
      text += ", \"when\": \"init\"";
    } else {
      text += ", \"when\": [";
      for (std::size_t i = 0; i < operation.windows.size(); ++i) {
        const auto& w = operation.windows[i];
        text += fmt::format("{}[{}, {}]", i > 0 ? ", " : "", w.begin,
                            w.end == kForever ? std::string("\"end\"") : std::to_string(w.end));
      }
      text += "]";
    }
    text += "}";
  }
  return text + "]";
}

Experiment::Experiment(std::unique_ptr<State> state) : state_(std::move(state)) {}
Experiment::Experiment(Experiment&&) noexcept = default;
Experiment& Experiment::operator=(Experiment&&) noexcept = default;
Experiment::~Experiment() = default;

Experiment Experiment::load(const std::filesystem::path& file,
                            const std::vector<std::string>& overrides, const Schema& schema,
                            const DataLookup& data) {
  std::error_code ignored;
  const auto status = std::filesystem::status(file, ignored);
  if (!std::filesystem::exists(status)) {
    throw Error(ExitCode::Usage, fmt::format("there is no file \"{}\"", file.string()),
                "name an experiment file; experiments/quickstart.toml is a first one");
  }
  if (std::filesystem::is_directory(status)) {
    throw Error(ExitCode::Usage,
                fmt::format("\"{}\" is a folder, not an experiment file", file.string()));
  }
  Source source{file.string(), {}};
  try {
    source.text = read_file(file, kFileLimit);
  } catch (const Error& error) {
    if (error.code() == ExitCode::Usage) {
      const Place whole{std::make_shared<const Source>(source), 0, 0};
      std::vector<Diagnostic> diagnostics;
      diagnostics.push_back(too_large(whole));
      throw InvalidExperiment(std::move(diagnostics));
    }
    throw;
  }
  auto folder = std::filesystem::absolute(file).parent_path();
  auto experiment = parse(std::move(source), folder, overrides, schema, data);
  if (experiment.state_->declared.name.empty())
    experiment.state_->declared.name = file.stem().string();
  return experiment;
}

Experiment Experiment::parse(Source source, const std::filesystem::path& folder,
                             const std::vector<std::string>& overrides, const Schema& schema,
                             const DataLookup& data) {
  Problems problems;
  auto state = std::make_unique<State>(schema, data);
  const auto shared = std::make_shared<const Source>(std::move(source));
  state->source = shared->text;
  state->declared = read_declaration(shared, folder, overrides, state->fields, problems);
  if (!problems.any()) state->validate(shared, problems);
  if (problems.any()) throw InvalidExperiment(std::move(problems.errors));
  state->warnings = std::move(problems.warnings);
  return Experiment(std::move(state));
}

const std::string& Experiment::name() const { return state_->declared.name; }
const std::string& Experiment::description() const { return state_->declared.description; }
const std::string& Experiment::source() const { return state_->source; }
const std::vector<MetricSpec>& Experiment::metrics() const { return state_->declared.metrics; }
const std::vector<PlotSpec>& Experiment::plots() const { return state_->declared.plots; }
const std::vector<Diagnostic>& Experiment::warnings() const { return state_->warnings; }
const std::vector<std::string>& Experiment::factors() const { return state_->factors; }
const std::vector<Diagnostic>& Experiment::unsupported() const {
  return state_->declared.unsupported;
}

std::size_t Experiment::variations() const { return state_->variations; }
std::size_t Experiment::alternatives() const { return state_->first_of_entry.back(); }

Condition Experiment::condition(std::size_t variation) const {
  return state_->condition(state_->declared.variations.at(variation));
}

Trial Experiment::trial(std::size_t variation, std::size_t alternative) const {
  return state_->trial(variation, alternative);
}

namespace {
std::string label_of(const Part& part, std::size_t number, const Point& point, bool seeds) {
  std::string text = part.kind == "set" ? std::string() : part.kind;
  for (const auto* setting : point) {
    if (setting->part != number || (!seeds && is_seed(setting->path))) continue;
    const auto said = described(*setting);
    if (!said.empty()) text += (text.empty() ? "" : " ") + said;
  }
  return text.empty() ? part.kind : text;
}

std::string label_of(const Entered& entered, const Point& point, bool seeds) {
  std::string text;
  for (std::size_t i = 0; i < entered.parts.size(); ++i)
    text += (i > 0 ? " and " : "") + label_of(entered.parts[i], i, point, seeds);
  return text;
}
}  // namespace

std::string Experiment::label(std::size_t alternative) const {
  if (alternative == 0) return "control";
  const auto [entered, choice] = state_->alternative(alternative - 1);
  return label_of(*entered, choice, true);
}

std::string Experiment::group(std::size_t alternative) const {
  if (alternative == 0) return "control";
  const auto [entered, choice] = state_->alternative(alternative - 1);
  return label_of(*entered, choice, false);
}

const DataFacts& Experiment::data(const Trial& trial) const {
  return state_->data_facts(trial.start());
}

Step Experiment::end(const Trial& trial) const { return state_->end(trial.timeline); }

std::map<std::string, std::string> Experiment::ingredients(const Trial& trial) const {
  std::map<std::string, std::string> all = {{"content of the data", data(trial).digest.hex()}};
  const auto& schema = *state_->schema;
  const auto& start = trial.start();
  const auto add_revision = [&](Family family, const std::string& kind) {
    const auto* component = schema.find(family, kind);
    if (!component) return;
    all[fmt::format("revision of {} {}", name_of(family), kind)] =
        std::to_string(component->revision);
  };
  for (const auto& section : sections()) {
    const auto* kind = section.has_kind ? start.find(section.kind_path) : nullptr;
    if (kind) add_revision(section.family, kind->as_string());
  }
  for (const auto& operation : trial.operations) add_revision(Family::Intervention, operation.kind);
  const auto* asked = trial.condition.find("schedule.horizon");
  const auto* resolved = start.find("schedule.horizon");
  if (asked && resolved && *asked != *resolved)
    all["schedule.horizon, the end of the run"] = display(*resolved);
  return all;
}

bool Experiment::matters(const Trial& trial, std::string_view path) const {
  if (path.ends_with(".kind")) return true;
  const auto* parameter = state_->schema->parameter(trial.start(), path);
  // A file's content is an ingredient; where it lies is no one's business.
  return parameter && parameter->identity && parameter->type != Type::File;
}

const CheckpointPolicy& Experiment::checkpoints() const { return state_->declared.checkpoints; }

namespace {
/// The steps in [0, end] that are meant, sorted.
std::vector<Step> steps_of(const Every& every, const Calendar& calendar, std::int64_t epochs,
                           Step end) {
  std::vector<Step> steps;
  switch (every.kind) {
    case Every::Kind::Never:
      return {};
    case Every::Kind::Listed:
      steps = every.steps;
      std::erase_if(steps, [&](Step step) { return step > end; });
      std::sort(steps.begin(), steps.end());
      steps.erase(std::unique(steps.begin(), steps.end()), steps.end());
      return steps;
    case Every::Kind::Epoch:
      for (std::int64_t e = every.n; e < epochs; e += every.n) steps.push_back(calendar.end_of(e));
      break;
    case Every::Kind::Steps:
      for (Step s = every.n; s < end; s += every.n) steps.push_back(s);
      break;
    case Every::Kind::Log:
      for (Step s = 1; s < end && s <= kForever / every.n; s *= every.n) steps.push_back(s);
      break;
    case Every::Kind::End:
      break;
  }
  steps.push_back(end);
  return steps;
}
}  // namespace

std::optional<std::size_t> Experiment::reference(const MetricSpec& metric,
                                                 std::size_t variation) const {
  if (!metric.relative()) return std::nullopt;
  return state_->reference(metric.parameters.at("to").as_string(), variation);
}

std::vector<Measurement> Experiment::measurements(const Trial& trial) const {
  const auto examples = data(trial).train;
  if (examples == 0) return {};
  const Calendar calendar(trial.timeline, examples);
  const auto epochs = trial.start().integer("train.epochs");
  const auto last = end(trial);
  // By step and by the variation that it is compared with, none first.
  std::map<std::pair<Step, std::optional<std::size_t>>, std::vector<std::size_t>> at;
  for (std::size_t m = 0; m < metrics().size(); ++m) {
    const auto other = reference(metrics()[m], trial.variation);
    for (const auto s : steps_of(metrics()[m].every, calendar, epochs, last))
      at[{s, other}].push_back(m);
  }
  std::vector<Measurement> out;
  std::map<std::size_t, Trial> controls;
  for (auto& [when, which] : at) {
    const auto& [step, other] = when;
    Measurement measurement{step, calendar.epochs_before(step), {}, std::move(which), {}};
    if (other) {
      const auto& control = controls.try_emplace(*other, this->trial(*other, 0)).first->second;
      const auto there =
          Calendar(control.timeline, data(control).train).matching(calendar.batch(step));
      if (!there || *there > end(control)) continue;
      measurement.reference = Reference{*there, {}, {}, control.start()};
    }
    out.push_back(std::move(measurement));
  }
  return out;
}

std::vector<Step> Experiment::saves(const Trial& trial) const {
  const auto examples = data(trial).train;
  if (examples == 0) return {};
  const auto& policy = checkpoints();
  const auto last = end(trial);
  auto steps = steps_of(policy.every, Calendar(trial.timeline, examples),
                        trial.start().integer("train.epochs"), last);
  // Listed steps are as the user wants them, but who lists some wants to go on from the end, too.
  if (policy.every.kind == Every::Kind::Listed && (steps.empty() || steps.back() != last))
    steps.push_back(last);
  // Initialisation makes the state at step 0 faster than any file could be read.
  std::erase(steps, 0);
  return steps;
}

Assignment Experiment::assignment(std::size_t number) const {
  Assignment out;
  out.trial = trial(number);
  out.examples = data(out.trial).train;
  out.end = end(out.trial);
  out.start = out.trial.state(0);
  out.last = out.trial.state(out.end);
  out.metrics = metrics();
  out.measurements = measurements(out.trial);
  for (auto& m : out.measurements) m.state = out.trial.state(m.step);
  for (auto& m : out.measurements) {
    if (m.reference) {
      const auto other = reference(out.metrics[m.metrics.front()], out.trial.variation);
      m.reference->state = trial(*other, 0).state(m.reference->step);
    }
  }
  if (out.trial.toward) {
    const Trial control = trial(*out.trial.toward, 0);
    const Calendar here(out.trial.timeline, out.examples);
    const Calendar there(control.timeline, data(control).train);
    for (const Step step : out.trial.drawn(0, out.end)) {
      if (const auto at = there.matching(here.batch(step)); at && *at <= end(control))
        out.drawn.emplace(step, Reference{*at, control.state(*at), {}, control.start()});
    }
  }
  return out;
}

}  // namespace perturb
