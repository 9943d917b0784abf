#include "perturb/plan/declaration.h"

#include <memory>
#include <optional>
#include <set>
#include <utility>
#include <vector>

#include <fmt/format.h>

namespace perturb {

namespace {

std::string texts_json(const std::map<std::string, std::string>& texts) {
  std::string all;
  for (const auto& [name, text] : texts)
    all += (all.empty() ? "" : ",") + to_json(Value(name)) + ":" + to_json(Value(text));
  return "{" + all + "}";
}

std::string parameters_json(const std::map<std::string, Value>& parameters) {
  std::string all;
  for (const auto& [name, value] : parameters)
    all += (all.empty() ? "" : ",") + to_json(Value(name)) + ":" + to_json(value);
  return "{" + all + "}";
}

MetricRow metric_row(const MetricSpec& metric) {
  const std::string plugin =
      metric.plugin.empty() ? "" : ",\"plugin\":" + to_json(Value(metric.plugin));
  return {
      metric.definition(), metric.label,
      fmt::format(R"({{"kind":{},"parameters":{},"revision":{}{}}})", to_json(Value(metric.kind)),
                  parameters_json(metric.parameters), metric.revision, plugin),
      metric.relative()};
}

Retention retention(const Experiment& experiment) {
  switch (experiment.checkpoints().keep) {
    case CheckpointPolicy::Keep::Needed:
      return Retention::None;
    case CheckpointPolicy::Keep::All:
      return Retention::All;
    case CheckpointPolicy::Keep::Last:
      break;
  }
  return Retention::Last;
}

/// The states that its trials begin with or learn from, each once.
std::vector<Digest> needs(const Experiment& experiment) {
  if (experiment.others().empty()) return {};
  std::set<Digest> states;
  std::set<std::shared_ptr<const std::vector<Predecessor>>> data_sets;
  for (std::size_t number = 0; number < experiment.trials(); ++number) {
    const Trial trial = experiment.trial(number);
    if (trial.from) states.insert(trial.from->state);
    for (const auto& networks : {trial.networks, trial.from ? trial.from->learnt_from : nullptr}) {
      if (!networks || !data_sets.insert(networks).second) continue;
      for (const Predecessor& network : *networks) states.insert(network.state);
    }
  }
  return {states.begin(), states.end()};
}

/// Changes whenever a member, a metric or a factor does.
Digest digest(const Experiment& experiment, const Plan& plan) {
  Hasher hasher;
  hasher.add(framed(PERTURB_VERSION));
  hasher.add(framed(experiment.name()));
  hasher.add(framed(experiment.description()));
  hasher.add(framed(experiment.source()));
  hasher.add(framed(std::to_string(static_cast<int>(retention(experiment)))));
  for (const MetricSpec& metric : experiment.metrics()) {
    hasher.add(framed(metric.label));
    hasher.add(framed(metric.definition().hex()));
  }
  for (const std::string& factor : experiment.factors()) hasher.add(framed(factor));
  for (std::size_t a = 0; a <= experiment.alternatives(); ++a)
    hasher.add(framed(experiment.label(a)));
  // Fields outside identity, such as the device, may come from the command line.
  hasher.add(framed(to_json(experiment.trial(0).condition)));
  for (const Planned& planned : plan.trials) {
    hasher.add(
        {reinterpret_cast<const char*>(planned.trial.bytes.data()), planned.trial.bytes.size()});
    hasher.add(framed(std::to_string(planned.end)));
  }
  return hasher.finish();
}

}  // namespace

Member member(const Experiment& experiment, std::size_t number, Step end) {
  const std::size_t stride = 1 + experiment.alternatives();
  const Trial trial = experiment.trial(number);
  Member member;
  member.number = static_cast<std::int64_t>(number);
  member.control = static_cast<std::int64_t>(number - number % stride);
  member.variation = static_cast<std::int64_t>(trial.variation);
  member.intervention = experiment.label(trial.alternative);
  member.trial = trial.id;
  member.condition = to_json(trial.condition);
  member.operations = to_json(trial.operations);
  member.ingredients = texts_json(experiment.ingredients(trial));
  if (end > 0) member.steps = end;
  member.factors = factors_of(trial);
  for (const MetricSpec& metric : experiment.metrics()) {
    if (const auto other = experiment.reference(metric, trial.variation))
      member.comparisons.emplace_back(metric.definition(), experiment.trial(*other, 0).id);
  }
  return member;
}

void declare(Store& store, const Experiment& experiment, const Plan& plan) {
  ExperimentRow row;
  row.name = experiment.name();
  row.description = experiment.description();
  row.source = experiment.source();
  row.digest = digest(experiment, plan);
  row.retention = retention(experiment);
  row.members = static_cast<std::int64_t>(experiment.trials());
  for (const MetricSpec& metric : experiment.metrics()) row.metrics.push_back(metric_row(metric));
  row.needs = needs(experiment);
  std::size_t next = 0;
  store.declare(row, [&]() -> std::optional<Member> {
    if (next == experiment.trials()) return std::nullopt;
    const std::size_t number = next++;
    return member(experiment, number, plan.trials[number].end);
  });
}

}  // namespace perturb
