#include <cmath>

#include <doctest/doctest.h>

#include "perturb/catalog/catalog.h"
#include "perturb/report/summary.h"

namespace {

using namespace perturb;

constexpr const char* kFile = R"(
[task]
kind = "classification"
[model]
kind = "mlp"
hidden = [4]
[data]
kind = "iris"
batch_size = 64
[optimizer]
kind = "sgd"
[train]
epochs = 3
[[variations]]
seeds.init = { range = [0, 6] }
[[metrics]]
kind = "weight-norm"
every = [0, 25]
)";

struct Fixture {
  Schema schema = builtin_schema();
  Experiment read = Experiment::parse({"test.toml", kFile}, ".", {}, schema, [](const Condition&) {
    return DataFacts{.train = 640, .test = 64};
  });
  Store store = Store::in_memory();
  RunId run = store.begin_run({"test", "test", "0", "{}"});
  std::vector<std::string> metrics = {"test.accuracy", "weight_norm"};

  /// Keeps a record of the trial up to `step`, each value being the step it was measured at.
  void keep(std::size_t number, Outcome outcome, Step step) {
    const Assignment assignment = read.assignment(number);
    Record record;
    record.trial = assignment.trial.id;
    record.outcome = outcome;
    record.step = step;
    for (const Measurement& measurement : assignment.measurements) {
      if (measurement.step > step) continue;
      for (const std::size_t metric : measurement.metrics)
        record.measured.push_back({measurement.step, measurement.epoch, measurement.state,
                                   assignment.metrics[metric].definition(),
                                   static_cast<double>(measurement.step)});
    }
    store.keep(run, record);
    store.flush();
  }

  std::vector<Observation> observe(Step end) {
    std::vector<Digest> trials;
    for (std::size_t number = 0; number < read.trials(); ++number)
      trials.push_back(read.trial(number).id);
    return perturb::observe(read, store, trials, std::vector<Step>(trials.size(), end), metrics);
  }
};

}  // namespace

TEST_CASE_FIXTURE(Fixture, "how trials stand, and their values at the end that is asked for") {
  keep(0, Outcome::Done, 30);
  keep(1, Outcome::Diverged, 12);
  keep(2, Outcome::OutOfMemory, 12);
  keep(3, Outcome::Interrupted, 12);
  const auto seen = observe(30);
  CHECK(seen[0].standing == Standing::Done);
  CHECK(seen[1].standing == Standing::Diverged);
  CHECK(seen[2].standing == Standing::Failed);
  CHECK(seen[3].standing == Standing::Missing);
  CHECK(seen[4].standing == Standing::Missing);
  CHECK(seen[0].values[0] == 30);
  CHECK(seen[0].values[1] == 25);  // the last that is listed
  CHECK(std::isnan(seen[1].values[0]));
}

TEST_CASE_FIXTURE(Fixture,
                  "a trial that went further is seen as it was at the end that is asked for") {
  keep(0, Outcome::Done, 30);
  keep(1, Outcome::Diverged, 22);  // beyond 20: what is asked for was reached
  const auto seen = observe(20);
  CHECK(seen[0].standing == Standing::Done);
  CHECK(seen[0].values[0] == 20);
  CHECK(seen[0].values[1] == 0);
  CHECK(seen[1].standing == Standing::Done);
  CHECK(seen[1].values[0] == 20);
}

TEST_CASE_FIXTURE(Fixture, "a trial that did not go as far is missing") {
  keep(0, Outcome::Done, 20);
  CHECK(observe(30)[0].standing == Standing::Missing);
  CHECK(observe(20)[0].standing == Standing::Done);
}
