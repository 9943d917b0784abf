// Flows that learn from networks, with whatever values of their metrics: results of a run that was
// never carried out.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "perturb/catalog/catalog.h"
#include "perturb/plan/declaration.h"
#include "perturb/plan/plan.h"
#include "perturb/report/results.h"

namespace perturb {

inline const Schema& flow_schema() {
  static const Schema all = builtin_schema();
  return all;
}

/// Six flows of two epochs; `metrics` is TOML.
struct Flows {
  using MakeValue = std::function<double(const std::string& metric, double epoch)>;

  explicit Flows(const std::string& metrics)
      : read(Experiment::parse(
            {"test.toml", kFlows + metrics}, ".", {}, flow_schema(),
            [](const Condition&) { return DataFacts{.train = 640, .test = 64}; })) {
    declare(store, read, make_plan(read, store));
  }

  static constexpr const char* kFlows = R"(
[task]
kind = "flow-matching"
[model]
kind = "flow"
[data]
kind = "gaussian-blobs"
batch_size = 64
[optimizer]
kind = "adamw"
[train]
epochs = 2
[[variations]]
task.fixed_noise = [true, false]
seeds.init = [0, 1, 2]
)";

  void keep(std::size_t number, const MakeValue& value) {
    const Assignment assignment = read.assignment(number);
    Record record;
    record.trial = assignment.trial.id;
    record.outcome = Outcome::Done;
    record.step = assignment.end;
    for (const Measurement& measurement : assignment.measurements) {
      for (const std::size_t metric : measurement.metrics) {
        const MetricSpec& spec = assignment.metrics[metric];
        record.measured.push_back({measurement.step, measurement.epoch, measurement.state,
                                   spec.definition(), value(spec.label, measurement.epoch)});
      }
    }
    store.keep(run, record);
    store.flush();
  }
  /// All values of the trial.
  void keep(std::size_t number, double value) {
    keep(number, [&](const std::string&, double) { return value; });
  }

  Results results() const {
    std::vector<Digest> trials;
    std::vector<Step> ends;
    for (std::size_t number = 0; number < read.trials(); ++number) {
      trials.push_back(read.trial(number).id);
      ends.push_back(read.end(read.trial(number)));
    }
    return {read, store, std::move(trials), std::move(ends)};
  }

  Experiment read;
  Store store = Store::in_memory();
  RunId run = store.begin_run({"test", "test", "0", "{}"});
};

}  // namespace perturb
