#include "perturb/report/observe.h"

#include <cmath>

#include <doctest/doctest.h>

#include "perturb/catalog/catalog.h"

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
  Experiment read;
  Store store = Store::in_memory();
  RunId run = store.begin_run({"test", "test", "0", "{}"});
  std::vector<std::string> metrics = {"test.accuracy", "weight_norm"};
  At at;

  explicit Fixture(const std::string& rest = "")
      : read(Experiment::parse({"test.toml", kFile + rest}, ".", {}, schema, [](const Condition&) {
          return DataFacts{.train = 640, .test = 64};
        })) {}

  /// Keeps a record of the trial up to `step`, each value being the step it was measured at.
  void keep(std::size_t number, Outcome outcome, Step step) {
    keep(number, outcome, step, [](Step when) { return static_cast<double>(when); });
  }
  template <class MakeValue>
  void keep(std::size_t number, Outcome outcome, Step step, const MakeValue& value) {
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
                                   value(measurement.step)});
    }
    store.keep(run, record);
    store.flush();
  }

  std::vector<Observation> observe(Step end) {
    std::vector<Digest> trials;
    for (std::size_t number = 0; number < read.trials(); ++number)
      trials.push_back(read.trial(number).id);
    return perturb::observe(read, store, trials, std::vector<Step>(trials.size(), end),
                            quantities(read, metrics, at), at);
  }
  /// To the end that each trial has.
  std::vector<Observation> observe() {
    std::vector<Digest> trials;
    std::vector<Step> ends;
    for (std::size_t number = 0; number < read.trials(); ++number) {
      trials.push_back(read.trial(number).id);
      ends.push_back(read.end(read.trial(number)));
    }
    return perturb::observe(read, store, trials, ends, quantities(read, metrics, at), at);
  }
};

/// Two controls and interventions that halve the batch: 10 steps an epoch, and 20.
struct Halved : Fixture {
  Halved() : Fixture("[[interventions]]\nset.data.batch_size = 32\n") {}
};
using Lack = Reading::Lack;

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
  CHECK(seen[0].readings[0].value == 30);
  CHECK(seen[0].readings[1].value == 25);  // the last that is listed
  CHECK(std::isnan(seen[1].readings[0].value));
}

TEST_CASE_FIXTURE(Fixture,
                  "a trial that went further is seen as it was at the end that is asked for") {
  keep(0, Outcome::Done, 30);
  keep(1, Outcome::Diverged, 22);  // beyond 20: what is asked for was reached
  const auto seen = observe(20);
  CHECK(seen[0].standing == Standing::Done);
  CHECK(seen[0].readings[0].value == 20);
  CHECK(seen[0].readings[1].value == 0);
  CHECK(seen[1].standing == Standing::Done);
  CHECK(seen[1].readings[0].value == 20);
}

TEST_CASE_FIXTURE(Fixture, "a trial that did not go as far is missing") {
  keep(0, Outcome::Done, 20);
  CHECK(observe(30)[0].standing == Standing::Missing);
  CHECK(observe(20)[0].standing == Standing::Done);
}

TEST_CASE_FIXTURE(Fixture,
                  "a trial's own best, the first of equal ones, and never one that is NaN") {
  metrics = {"test.accuracy", "test.loss"};
  at = at_from("best");
  keep(0, Outcome::Done, 30, [](Step step) { return step == 10 ? NAN : 0.5; });
  keep(1, Outcome::Done, 30, [](Step step) { return step == 20 ? 0.9 : 0.1; });
  keep(2, Outcome::Diverged, 25, [](Step) { return 1.0; });
  keep(3, Outcome::Done, 30, [](Step) { return NAN; });
  const auto seen = observe(30);
  CHECK(seen[0].readings[0].value == 0.5);
  CHECK(seen[0].readings[0].step == 20);
  CHECK(seen[1].readings[0].value == 0.9);
  CHECK(seen[1].readings[0].step == 20);
  CHECK(seen[1].readings[1].value == 0.1);  // a loss is better lower
  CHECK(seen[1].readings[1].step == 10);
  CHECK(seen[2].standing == Standing::Diverged);
  CHECK(seen[2].readings[0].lack == Lack::Unmeasured);
}

TEST_CASE_FIXTURE(Fixture, "at a step or an epoch a trial counts, however it ended after it") {
  at = at_from("20");
  metrics = {"test.accuracy"};
  keep(0, Outcome::Done, 30);
  keep(1, Outcome::Diverged, 25);
  keep(2, Outcome::Interrupted, 22);
  keep(3, Outcome::Diverged, 15);
  keep(4, Outcome::Interrupted, 15);
  for (const char* place : {"20", "epoch:2"}) {
    at = at_from(place);
    const auto seen = observe(30);
    for (std::size_t number = 0; number < 3; ++number) {
      CHECK(seen[number].standing == Standing::Done);
      CHECK(seen[number].readings[0].value == 20);
      CHECK(seen[number].readings[0].epoch == 2);
    }
    CHECK(seen[3].standing == Standing::Diverged);
    CHECK(seen[4].standing == Standing::Missing);
    CHECK(seen[5].standing == Standing::Missing);
  }
}

TEST_CASE_FIXTURE(Fixture, "the area is the mean over epochs, by trapezoids") {
  metrics = {"auc(test.accuracy)", "test.accuracy"};
  keep(0, Outcome::Done, 30, [](Step step) { return step == 10 ? 0.0 : step == 20 ? 1.0 : 0.5; });
  keep(1, Outcome::Done, 30, [](Step) { return 0.25; });
  keep(2, Outcome::Done, 30, [](Step step) { return step == 20 ? NAN : 0.25; });
  const auto seen = observe(30);
  CHECK(seen[0].readings[0].value == doctest::Approx((0.5 + 0.75) / 2));
  CHECK(seen[0].readings[1].value == 0.5);
  CHECK(seen[1].readings[0].value == 0.25);
  CHECK(std::isnan(seen[2].readings[0].value));
  CHECK(seen[2].readings[0].lack == Lack::None);
}

TEST_CASE_FIXTURE(Fixture, "one value has no area") {
  metrics = {"auc(test.accuracy)"};
  keep(0, Outcome::Done, 10);
  CHECK(observe(10)[0].readings[0].lack == Lack::Unmeasured);
}

TEST_CASE_FIXTURE(Fixture, "the first step at which a threshold is reached, or never") {
  metrics = {"steps_to(test.accuracy,0.8)", "steps_to(test.loss,0.8)", "steps_to(weight_norm,25)"};
  // Up, and down again: the first crossing counts.
  keep(0, Outcome::Done, 30, [](Step step) { return step == 20 ? 0.8 : 0.5; });
  keep(1, Outcome::Done, 30, [](Step) { return 0.9; });
  keep(2, Outcome::Done, 30, [](Step step) { return static_cast<double>(step); });
  const auto seen = observe(30);
  CHECK(seen[0].readings[0].value == 20);
  CHECK(seen[0].readings[1].value == 10);  // a loss is to fall
  CHECK(seen[0].readings[2].lack == Lack::Never);
  CHECK(seen[1].readings[0].value == 10);
  CHECK(seen[1].readings[1].lack == Lack::Never);
  CHECK(std::isnan(seen[1].readings[1].value));
  CHECK(seen[2].readings[2].value == 25);
}

TEST_CASE_FIXTURE(Fixture, "what is of the whole run needs all of its values") {
  keep(0, Outcome::Done, 30);
  store.flush();
  // Now more is asked for than was measured.
  Fixture more("[[metrics]]\nkind = \"accuracy\"\non = \"test\"\nevery = 5\n");
  for (const char* word : {"auc(test.accuracy)", "steps_to(test.accuracy,1)"}) {
    const auto wanted = quantities(more.read, {word}, {});
    const auto seen = perturb::observe(more.read, store, {read.trial(0).id}, {30}, wanted, {});
    CHECK(seen[0].readings[0].lack == Lack::Unmeasured);
  }
  const auto last = quantities(more.read, {"test.accuracy"}, {});
  CHECK(
      perturb::observe(more.read, store, {read.trial(0).id}, {30}, last, {})[0].readings[0].value ==
      30);
}

TEST_CASE_FIXTURE(Fixture, "values that only other experiments asked for do not count") {
  Fixture often("[[metrics]]\nkind = \"accuracy\"\non = \"test\"\nevery = 5\n");
  const Assignment assignment = often.read.assignment(0);
  Record record;
  record.trial = assignment.trial.id;
  record.outcome = Outcome::Done;
  record.step = 30;
  for (const Measurement& measurement : assignment.measurements) {
    for (const std::size_t metric : measurement.metrics)
      record.measured.push_back({measurement.step, measurement.epoch, measurement.state,
                                 assignment.metrics[metric].definition(),
                                 measurement.step == 5 ? 1.0 : 0.5});
  }
  store.keep(run, record);
  store.flush();
  metrics = {"auc(test.accuracy)", "steps_to(test.accuracy,1)"};
  const auto seen = observe(30);
  CHECK(seen[0].readings[0].value == 0.5);
  CHECK(seen[0].readings[1].lack == Lack::Never);
}

TEST_CASE_FIXTURE(Halved, "a value is compared with the control's at the same epoch") {
  metrics = {"test.accuracy"};
  keep(0, Outcome::Done, 30);
  keep(1, Outcome::Done, 60);
  for (const char* place : {"20", "40", "epoch:2", "last"}) {
    CAPTURE(place);
    at = at_from(place);
    const auto seen = observe();
    const Reading& reading = seen[1].readings[0];
    CHECK(seen[1].standing == Standing::Done);
    // Twice as many steps for as many examples, and each value is its step.
    CHECK(reading.control == reading.value / 2);
    CHECK(std::isnan(seen[0].readings[0].control));
  }
  at = at_from("40");
  const auto seen = observe();
  CHECK(seen[1].readings[0].value == 40);
  CHECK(seen[0].readings[0].lack == Lack::Unmeasured);  // the control has no step 40

  // Step 25 is epoch 2.5 of the control, which the intervention reaches at 50 and is not measured.
  metrics = {"weight_norm"};
  at = at_from("25");
  const auto norms = observe();
  CHECK(norms[1].readings[0].value == 25);
  CHECK(norms[1].readings[0].epoch == 1.25);
  CHECK(std::isnan(norms[1].readings[0].control));
}

TEST_CASE_FIXTURE(Halved, "what is of the whole run, or each trial's best, is compared as it is") {
  keep(0, Outcome::Done, 30);
  keep(1, Outcome::Done, 60);
  metrics = {"auc(test.accuracy)", "steps_to(test.accuracy,20)"};
  const auto derived = observe();
  CHECK(derived[1].readings[0].value == 40);
  CHECK(derived[1].readings[0].control == 20);
  CHECK(derived[1].readings[1].value == 20);
  CHECK(derived[1].readings[1].control == 20);
  metrics = {"test.accuracy"};
  at = at_from("best");
  CHECK(observe()[1].readings[0].control == 30);
}

TEST_CASE_FIXTURE(Halved, "there is nothing to compare with where the control did not get") {
  metrics = {"test.accuracy"};
  keep(0, Outcome::Diverged, 15);
  keep(1, Outcome::Done, 60);
  CHECK(std::isnan(observe()[1].readings[0].control));
  at = at_from("20");  // epoch 1: the control diverged after it
  CHECK(observe()[1].readings[0].control == 10);
  CHECK(observe()[0].standing == Standing::Diverged);
}
