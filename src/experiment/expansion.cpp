#include <algorithm>
#include <cmath>

#include "experiment/state.h"

namespace perturb {

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

std::string Experiment::State::kinds_of(const Point& choice) const {
  std::string signature;
  for (const auto& section : sections()) {
    if (section.has_kind) signature += framed(kind_in(section, choice));
  }
  return signature;
}

std::string Experiment::State::kind_in(const Section& section, const Point& choice) const {
  for (const auto* setting : choice) {
    if (setting->path == section.kind_path) return setting->level.value.as_string();
  }
  const auto base = declared.base.find(std::string(section.kind_path));
  return base != declared.base.end() ? base->second.value.as_string()
                                     : std::string(default_kind(section.family));
}

Condition Experiment::State::prototype(const Point& choice,
                                       std::vector<std::string>& missing) const {
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

Condition Experiment::State::condition(const Point& point) const {
  auto out = as_said(point);
  resolve_weights(out);
  return out;
}

Condition Experiment::State::as_said(const Point& point) const {
  Condition out =
      prototypes.size() == 1 ? prototypes.begin()->second : prototypes.at(kinds_of(point));
  for (const auto* setting : point) {
    if (setting->path.ends_with(".kind")) continue;
    out.set(setting->path, *applied(setting->level, out.at(setting->path)));
  }
  return out;
}

std::pair<const Entered*, Point> Experiment::State::alternative(std::size_t number) const {
  const auto after = std::upper_bound(first_of_entry.begin(), first_of_entry.end(), number);
  const auto entry = static_cast<std::size_t>(after - first_of_entry.begin()) - 1;
  const auto& entered = declared.interventions[entry];
  return {&entered, entered.grid.at(number - first_of_entry[entry])};
}

std::vector<Operation> Experiment::State::operations(const Entered& entered, const Point& point,
                                                     const Condition& condition) const {
  std::vector<Operation> all;
  for (std::size_t i = 0; i < entered.parts.size(); ++i)
    all.push_back(operation(entered.parts[i], i, point, condition));
  return all;
}

Operation Experiment::State::operation(const Part& part, std::size_t number, const Point& point,
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

void Experiment::State::complete_kinds(Operation& operation, const Condition& condition) const {
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

std::vector<Window> Experiment::State::windows(const When& when, const Calendar* calendar) {
  std::vector<Window> out;
  const auto step = [&](std::int64_t bound) {
    return calendar && bound != kForever ? calendar->end_of(bound) : bound;
  };
  for (const auto& [begin, end] : when.ranges) out.push_back({step(begin), step(end)});
  return normalised(std::move(out));
}

const DataFacts& Experiment::State::data_facts(const Condition& condition) const {
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
                              : facts.emplace(key, facts_of(condition)).first->second;
}

DataFacts Experiment::State::facts_of(const Condition& condition) const {
  const auto members = networks(condition);
  if (!members) return lookup(condition);
  auto counted = condition;
  counted.set("data.networks", Value(std::ssize(*members)));
  auto found = lookup(counted);
  std::string text = "perturb-networks-1";
  for (const auto& network : *members) text += framed(network.state.hex());
  found.digest = sha256(text);
  return found;
}

Step Experiment::State::end(const Timeline& timeline) const {
  const auto& condition = timeline.stretches.front().condition;
  const auto examples = data_facts(condition).train;
  return examples > 0 ? Calendar(timeline, examples).end_of(condition.integer("train.epochs")) : 0;
}

Trial Experiment::State::trial(std::size_t variation, std::size_t number) const {
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
  for (auto& stretch : out.timeline.stretches) resolve_weights(stretch.condition);
  resolve_horizon(out.timeline);
  out.from = beginning(out.condition, out.start());
  std::optional<Digest> begun;
  if (out.from) begun = out.from->identity();
  out.networks = networks(out.start());
  out.past = identity.past(out.timeline, data_facts(out.start()).digest, begun);
  out.id = trial_digest(out.timeline, out.past);
  return out;
}

void Experiment::State::draw(Trial& trial) const {
  for (auto& operation : trial.operations) {
    if (!operation.draws()) continue;
    auto& toward = operation.parameters.at("toward");
    trial.toward = reference(toward.as_string(), trial.variation);
    toward = this->trial(trial.toward.value(), 0).id.hex();
  }
}

void Experiment::State::resolve_horizon(Timeline& timeline) const {
  for (auto& stretch : timeline.stretches) {
    const auto* horizon = stretch.condition.find("schedule.horizon");
    if (!horizon || horizon->as_int() != 0 || stretch.condition.text("schedule.kind") != "cosine")
      continue;
    stretch.condition.set("schedule.horizon", Value(end(timeline)));
  }
}

std::vector<std::pair<std::string, std::string>> Experiment::State::reference_values(
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

std::optional<std::size_t> Experiment::State::reference(const std::string& text,
                                                        std::size_t variation) const {
  if (text == "control") return variation;
  return declared.variations.neighbour(variation, reference_values(text));
}

}  // namespace perturb
