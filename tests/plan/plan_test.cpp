#include "perturb/plan/plan.h"

#include <algorithm>
#include <set>
#include <string>

#include <doctest/doctest.h>

#include "perturb/catalog/catalog.h"
#include "perturb/core/random.h"
#include "perturb/experiment/noise_curve.h"
#include "perturb/plan/declaration.h"

namespace {

using namespace perturb;

const Schema& schema() {
  static const Schema all = builtin_schema();
  return all;
}

/// 10 steps an epoch at the default batch size of 64.
DataFacts facts_of(const Condition&) { return {.train = 640, .test = 64}; }

constexpr const char* kBase = R"(
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
lr = 0.1
[train]
epochs = 2
)";

Experiment experiment(const std::string& rest, const std::vector<std::string>& overrides = {}) {
  return Experiment::parse({"test.toml", kBase + rest}, ".", overrides, schema(), facts_of);
}

constexpr const char* kGrid = R"(
[[variations]]
seeds.init = [0, 1, 2]
[[interventions]]
set.optimizer.lr = [0.2, 0.3]
)";

/// What a trial leaves that went well, with every measurement that was asked for.
Record done(const Experiment& experiment, std::size_t number) {
  const Assignment assignment = experiment.assignment(number);
  Record record;
  record.trial = assignment.trial.id;
  record.outcome = Outcome::Done;
  record.step = assignment.end;
  record.trained = assignment.end;
  record.seconds = 0.5 * static_cast<double>(assignment.end);
  for (const Measurement& measurement : assignment.measurements) {
    for (const std::size_t metric : measurement.metrics)
      record.measured.push_back({measurement.step, measurement.epoch, measurement.state,
                                 assignment.metrics[metric].definition(), 0.5});
  }
  return record;
}

class Keeper {
 public:
  Keeper() : store(Store::in_memory()), run(store.begin_run({"test", "test", "0", "{}"})) {}
  void keep(const Record& record) {
    store.keep(run, record);
    store.flush();
  }
  Store store;
  RunId run;
};

}  // namespace

TEST_CASE("with an empty store everything runs, controls first") {
  const Experiment grid = experiment(kGrid);
  const Plan plan = make_plan(grid, Store::in_memory());

  CHECK(plan.trials.size() == 9);
  CHECK(plan.distinct == 9);
  CHECK(plan.cached == 0);
  CHECK(plan.order == std::vector<std::size_t>{0, 3, 6, 1, 2, 4, 5, 7, 8});
  CHECK(plan.steps_asked == 9 * 20);
  CHECK(plan.steps_to_run == 9 * 20);
}

TEST_CASE("what is done and wholly measured is cached, and nothing else is") {
  const Experiment grid = experiment(kGrid);
  Keeper keeper;
  keeper.keep(done(grid, 4));
  const Plan plan = make_plan(grid, keeper.store);
  for (std::size_t number = 0; number < 9; ++number) {
    const Reason expected = number == 4 ? Reason::Cached : Reason::New;
    CHECK_MESSAGE(plan.trials[number].reason == expected, number);
  }
  CHECK(plan.cached == 1);
  CHECK(plan.order.size() == 8);
  CHECK(plan.steps_to_run == 8 * 20);
}

TEST_CASE("a missing measurement, and only one, makes a trial run again") {
  const Experiment one = experiment("");
  const Record whole = done(one, 0);
  REQUIRE(whole.measured.size() > 2);
  for (std::size_t missing = 0; missing < whole.measured.size(); ++missing) {
    Keeper keeper;
    Record record = whole;
    record.measured.erase(record.measured.begin() + static_cast<std::ptrdiff_t>(missing));
    keeper.keep(record);
    CHECK(make_plan(one, keeper.store).trials[0].reason == Reason::Unmeasured);
  }
}

TEST_CASE("a longer run is not cached by a shorter one, a shorter one is by a longer") {
  Keeper keeper;
  keeper.keep(done(experiment(""), 0));
  CHECK(make_plan(experiment("", {"train.epochs=3"}), keeper.store).trials[0].reason ==
        Reason::Longer);
  CHECK(make_plan(experiment("", {"train.epochs=1"}), keeper.store).trials[0].reason ==
        Reason::Cached);
}

TEST_CASE("an interrupted or failed trial runs again, a diverged one does not") {
  const Experiment one = experiment("");
  for (const Outcome outcome : {Outcome::Interrupted, Outcome::Failed, Outcome::Crashed,
                                Outcome::OutOfMemory, Outcome::TimedOut, Outcome::Diverged}) {
    CAPTURE(name_of(outcome));
    Keeper keeper;
    Record record = done(one, 0);
    record.outcome = outcome;
    record.step = 15;  // of 20: the measurements at step 10 are there, those at 20 are not
    std::erase_if(record.measured, [](const Measured& measured) { return measured.step > 15; });
    keeper.keep(record);
    const Plan plan = make_plan(one, keeper.store);
    CHECK(plan.trials[0].reason ==
          (outcome == Outcome::Diverged ? Reason::Diverged : Reason::Retried));
    CHECK(plan.order.empty() == (outcome == Outcome::Diverged));
    CHECK(plan.steps_to_run == (outcome == Outcome::Diverged ? 0 : 20));
  }
}

TEST_CASE("who asks for less than the step of a failure asks for what did not fail") {
  Keeper keeper;
  Record record = done(experiment(""), 0);
  record.outcome = Outcome::Diverged;
  record.step = 15;
  std::erase_if(record.measured, [](const Measured& measured) { return measured.step > 15; });
  keeper.keep(record);
  CHECK(make_plan(experiment("", {"train.epochs=1"}), keeper.store).trials[0].reason ==
        Reason::Cached);
}

TEST_CASE("members that are the same trial are trained once") {
  // Adam takes no notice of SGD's rate, so it is the same for both.
  const Experiment grid = experiment(R"(
[[variations]]
optimizer.lr = [0.1, 0.2]
[[interventions]]
set.optimizer.kind = "adam"
set.optimizer.lr = 0.001
)");
  const Plan plan = make_plan(grid, Store::in_memory());
  CHECK(plan.trials.size() == 4);
  CHECK(plan.distinct == 3);
  CHECK(plan.order == std::vector<std::size_t>{0, 2, 1});
  CHECK(plan.trials[1].first);
  CHECK_FALSE(plan.trials[3].first);
  CHECK(plan.steps_asked == 3 * 20);
}

TEST_CASE("of members that differ in length alone the longest is trained") {
  const Experiment grid = experiment("[[variations]]\ntrain.epochs = [1, 3, 2]\n");
  const Plan plan = make_plan(grid, Store::in_memory());
  CHECK(plan.distinct == 1);
  CHECK(plan.order == std::vector<std::size_t>{1});
  CHECK(plan.steps_to_run == 30);

  Keeper keeper;
  keeper.keep(done(grid, 1));
  const Plan after = make_plan(grid, keeper.store);
  CHECK(after.order.empty());
  for (const Planned& planned : after.trials) CHECK(planned.reason == Reason::Cached);
}

TEST_CASE("what the longest does not measure is trained for those who ask for it") {
  // Only at the end: of three runs of different lengths none measures at another's end.
  const Experiment grid = experiment(R"(
[[variations]]
train.epochs = [1, 2]
[[metrics]]
kind = "weight-norm"
every = "end"
)");
  Keeper keeper;
  const Plan plan = make_plan(grid, keeper.store);
  CHECK(plan.order == std::vector<std::size_t>{0, 1});
  for (const std::size_t number : plan.order) keeper.keep(done(grid, number));
  CHECK(make_plan(grid, keeper.store).order.empty());
}

TEST_CASE("when a plan is carried out nothing is left to do, whatever was there before") {
  const Experiment grid = experiment(R"(
[[variations]]
seeds.init = { range = [0, 4] }
optimizer.lr = [0.1, 0.2, 0.3]
[[interventions]]
set.optimizer.lr = [0.1, 0.2]
[[interventions]]
set.optimizer.momentum = { add = 0.5 }
when = [[0, 3], [12, 15]]
)");
  for (std::uint64_t seed = 0; seed < 20; ++seed) {
    CAPTURE(seed);
    Random random(seed, "plan test");
    Keeper keeper;
    for (std::size_t number = 0; number < grid.trials(); ++number) {
      if (random.below(3) > 0) continue;
      Record record = done(grid, number);
      if (random.below(2) == 0) {
        record.outcome = Outcome::Failed;
        record.step = 7;
        record.measured.clear();
      }
      keeper.keep(record);
    }
    const Plan plan = make_plan(grid, keeper.store);
    std::set<Digest> carried_out;
    for (const std::size_t number : plan.order) {
      CHECK(carried_out.insert(plan.trials[number].trial).second);  // nothing twice
      keeper.keep(done(grid, number));
    }
    CHECK(make_plan(grid, keeper.store).order.empty());
    CHECK(plan.cached + plan.order.size() == plan.distinct);
  }
}

TEST_CASE("time is estimated from what the store has timed, and shared by workers") {
  const Experiment grid = experiment(kGrid);
  Keeper keeper;
  CHECK_FALSE(estimate(make_plan(grid, keeper.store), keeper.store, 1).has_value());

  declare(keeper.store, grid, make_plan(grid, keeper.store));
  keeper.keep(done(grid, 0));  // half a second a step
  const Plan plan = make_plan(grid, keeper.store);
  CHECK(estimate(plan, keeper.store, 1).value() == doctest::Approx(8 * 20 * 0.5));
  CHECK(estimate(plan, keeper.store, 4).value() == doctest::Approx(8 * 20 * 0.5 / 4));
  // Workers that have nothing to do do not make it faster.
  CHECK(estimate(plan, keeper.store, 1000).value() == doctest::Approx(20 * 0.5));
}

TEST_CASE("data that are missing are no reason not to plan") {
  const Experiment grid =
      Experiment::parse({"test.toml", std::string(kBase) + kGrid}, ".", {}, schema(),
                        [](const Condition&) { return DataFacts{.missing = "gone"}; });
  const Plan plan = make_plan(grid, Store::in_memory());
  CHECK(plan.order.size() == 9);
  CHECK(plan.steps_asked == 0);
}

TEST_CASE("the reference experiments have the trials that they should") {
  struct Expected {
    const char* file;
    std::size_t trials, controls, distinct;
  };
  // Controls and trials as in the reference; Adam of `optimizers` is the same for all rates.
  for (const Expected& expected : {Expected{"weight_noise", 31, 1, 31},
                                   {"optimizers", 30, 15, 20},
                                   {"batch_size", 90, 15, 90},
                                   {"momentum", 210, 30, 210},
                                   {"momentum_one_init", 21, 3, 21}}) {
    CAPTURE(expected.file);
    const Experiment read = Experiment::load(
        std::string("experiments/perturb/") + expected.file + ".toml", {}, schema(),
        [](const Condition&) { return DataFacts{.train = 60'000, .test = 10'000}; });
    const Plan plan = make_plan(read, Store::in_memory());
    CHECK(plan.trials.size() == expected.trials);
    CHECK(read.variations() == expected.controls);
    CHECK(plan.distinct == expected.distinct);
    CHECK(read.unsupported().empty());
    CHECK(read.warnings().empty());
    CHECK_FALSE(read.description().empty());
  }
}

TEST_CASE("the experiments about robustness have five architectures, two regimes and three seeds") {
  for (const char* file : {"mnist", "fashion_mnist", "cifar10", "sanity"}) {
    CAPTURE(file);
    const auto load = [&](const std::vector<std::string>& overrides) {
      return Experiment::load(
          std::string("experiments/robustness/") + file + ".toml", overrides, schema(),
          [](const Condition&) { return DataFacts{.train = 60'000, .test = 10'000}; });
    };
    const Experiment read = load({});
    const bool whole = std::string_view(file) != "sanity";
    CHECK(read.trials() == (whole ? 30 : 2));
    CHECK(make_plan(read, Store::in_memory()).distinct == read.trials());
    CHECK(read.unsupported().empty());
    CHECK(read.warnings().empty());
    CHECK_FALSE(read.description().empty());
    // The recipe: batches of 128, ten epochs, and a sweep of seven strengths for both scores.
    const Trial trial = read.trial(0);
    CHECK(trial.condition.integer("data.batch_size") == 128);
    CHECK(trial.condition.text("optimizer.kind") == "adam");
    CHECK(read.end(trial) == (whole ? 10 : 1) * 469);
    for (const NoiseCurve& curve : noise_curves(read.metrics()))
      CHECK(curve.strengths == std::vector<double>{0, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5});
    CHECK(noise_curves(read.metrics()).size() == 2);
    if (whole) CHECK(load({"model.kind=mlp-small,cnn", "train.epochs=1"}).trials() == 12);
  }
}
