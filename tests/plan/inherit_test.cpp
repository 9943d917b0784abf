// What a plan needs of other experiments, and the least that makes it.
#include <filesystem>
#include <fstream>
#include <memory>
#include <string>

#include <doctest/doctest.h>

#include "perturb/catalog/catalog.h"
#include "perturb/experiment/ancestry.h"
#include "perturb/plan/declaration.h"
#include "perturb/plan/plan.h"
#include "temporary_folder.h"

namespace {

using namespace perturb;
namespace fs = std::filesystem;

/// 10 steps an epoch.
DataFacts facts_of(const Condition&) { return {.train = 640, .test = 64}; }

const Schema& schema() {
  static const Schema all = builtin_schema();
  return all;
}

const std::string kRest = R"(
hidden = [4]
[data]
kind = "iris"
batch_size = 64
[optimizer]
kind = "sgd"
lr = 0.1
[train]
epochs = 2
[checkpoints]
keep = "needed"
)";
const std::string kSeeds = "[[variations]]\nseeds.init = [0, 1, 2]\n";

/// Two experiments, the second of which goes on from the first, and a store that knows both.
struct World {
  explicit World(const std::string& more = "", const std::string& at = "\"end\"") {
    write("pretrain.toml",
          "name = \"pretrain\"\n[model]\nkind = \"mlp\"" + kRest + kSeeds +
              "[[interventions]]\nset.optimizer.lr = 0.2\n[[metrics]]\nkind = \"weight-norm\"\n"
              "[[metrics]]\nkind = \"distance\"\nto = \"control\"\n");
    write(
        "tune.toml",
        "name = \"tune\"\n[model]\nkind = \"mlp\"\nfrom = { experiment = \"pretrain.toml\", at = " +
            at + " }" + kRest + "[[variations]]\nseeds.init = [2, 0]\n" + more);
    const auto file = folder.path() / "tune.toml";
    Ancestry ancestry(file, [](const fs::path& other, const ExperimentLookup& others) {
      return Experiment::load(other, {}, schema(), facts_of, others);
    });
    tune = std::make_unique<Experiment>(
        Experiment::load(file, {}, schema(), facts_of, ancestry.lookup()));
    run = store.begin_run({"test", "test", "0", "{}"});
    declare(store, *tune, make_plan(*tune, store));
    declare(store, pretrain(), make_plan(pretrain(), store));
  }

  void write(const std::string& name, const std::string& text) const {
    std::ofstream(folder.path() / name, std::ios::binary) << text;
  }
  const Experiment& pretrain() const { return *tune->others()[0].experiment; }
  Plan plan() const { return make_plan(*tune, store); }
  Plan first() const { return plan_of_states(pretrain(), store, lacking_states(plan(), 0)); }

  /// A control of the first experiment came that far, and left a checkpoint there.
  void keep(std::size_t number, Step step, Outcome outcome = Outcome::Done) {
    const Trial trial = pretrain().trial(number);
    Record record;
    record.trial = trial.id;
    record.outcome = outcome;
    record.step = step;
    record.message = outcome == Outcome::Failed ? "the roof leaks" : "";
    if (outcome == Outcome::Done || outcome == Outcome::Interrupted)
      record.saved.push_back({step, 0, trial.state(step), blob(number, step), 8});
    store.keep(run, record);
    store.flush();
  }
  static Digest blob(std::size_t number, Step step) {
    return sha256(std::to_string(number) + "/" + std::to_string(step));
  }

  TemporaryFolder folder;
  std::unique_ptr<Experiment> tune;
  Store store = Store::in_memory();
  RunId run = 0;
};

}  // namespace

TEST_CASE("before anything was trained it is known what has to be") {
  const World world;
  const Plan plan = world.plan();
  REQUIRE(plan.inherited.size() == 2);
  for (const Inherited& inherited : plan.inherited) {
    CHECK_FALSE(inherited.blob);
    CHECK(inherited.lacking.find("has not been trained that far") != std::string::npos);
  }
  const Plan first = world.first();
  CHECK(first.order == std::vector<std::size_t>{0, 4});
  CHECK(first.steps_to_run == 40);
  REQUIRE(first.stages.size() == 2);
  for (const Stage& stage : first.stages) {
    CHECK(stage.begin == 0);
    CHECK(stage.end == 20);
    CHECK(stage.saves == std::vector<Step>{20});
    // What the trial measures anyway; a control is compared with itself.
    std::size_t measured = 0;
    for (const Measurement& due :
         world.pretrain().measurements(world.pretrain().trial(stage.trial)))
      measured += due.metrics.size();
    CHECK(stage.needs.size() == measured);
  }
}

TEST_CASE("what the store has is taken, from the nearest checkpoint to the state") {
  World world;
  world.keep(4, 10, Outcome::Interrupted);
  Plan first = world.first();
  REQUIRE(first.stages.size() == 2);
  CHECK(first.stages[1].begin == 10);
  CHECK(first.stages[1].checkpoint == World::blob(4, 10));
  CHECK(first.steps_to_run == 30);

  world.keep(4, 20);
  first = world.first();
  CHECK(first.order == std::vector<std::size_t>{0});
  world.keep(0, 20);
  CHECK(world.first().stages.empty());

  const Plan plan = world.plan();
  for (std::size_t stage = 0; stage < plan.stages.size(); ++stage) {
    const Assignment work = assignment(*world.tune, plan, stage);
    REQUIRE(work.from);
    CHECK(work.refused.empty());
    CHECK(work.from->state == work.trial.from->state);
    CHECK(work.from->blob == World::blob(work.trial.from->trial, 20));
  }
}

TEST_CASE("a checkpoint that others begin with stays, though its own experiment keeps none") {
  World world;
  world.keep(4, 20);
  world.keep(2, 20);  // nobody begins with it
  const auto has = [&](std::size_t number) {
    const Digest state = world.pretrain().trial(number).state(20);
    const auto known = world.store.states({state}, {});
    return !known.empty() && known.begin()->second.checkpoint.has_value();
  };
  CHECK(has(4));
  CHECK_FALSE(has(2));
}

TEST_CASE("what diverged on the way is not tried again; what failed is; both are told by name") {
  World world;
  world.keep(4, 7, Outcome::Diverged);
  world.keep(0, 7, Outcome::Failed);
  const Plan first = world.first();
  CHECK(first.order == std::vector<std::size_t>{0});
  CHECK(first.trials[0].reason == Reason::Retried);
  const Plan plan = world.plan();
  std::string refused;
  for (std::size_t stage = 0; stage < plan.stages.size(); ++stage)
    refused += assignment(*world.tune, plan, stage).refused + "\n";
  CHECK(refused.find("it begins with step 20 of trial 4 (seeds.init=2) of \"pretrain\", which "
                     "diverged at step 7") != std::string::npos);
  CHECK(refused.find("it begins with step 20 of trial 0 (seeds.init=0) of \"pretrain\", which "
                     "ended at step 7: the roof leaks") != std::string::npos);
}

TEST_CASE("the state before the step in which a trial diverged is still a good one") {
  World world("", "7");
  world.keep(4, 7, Outcome::Diverged);
  CHECK(world.first().order == std::vector<std::size_t>{0, 4});
}

TEST_CASE("two states of one trial are made on one way") {
  const World world(
      "[[interventions]]\nset.model.from = { experiment = \"pretrain.toml\", at = 5 }\n");
  const Plan first = world.first();
  CHECK(first.order == std::vector<std::size_t>{0, 4});
  REQUIRE(first.stages.size() == 2);
  CHECK(first.stages[0].saves == std::vector<Step>{5, 20});
  CHECK(first.steps_to_run == 40);
}

namespace {

/// An experiment whose data are what another one trains, and a store that knows both.
struct Learning {
  Learning() {
    write("population.toml", "name = \"population\"\n[model]\nkind = \"mlp\"" + kRest + kSeeds);
    write("learner.toml",
          "name = \"learner\"\n[model]\nkind = \"mlp\"\n[data]\nkind = \"weights\"\nexperiment = "
          "\"population.toml\"\nselect = { seeds.init = [2, 1] }\n[[variations]]\nseeds.init = [0, "
          "1]\n");
    const auto file = folder.path() / "learner.toml";
    Ancestry ancestry(file, [](const fs::path& other, const ExperimentLookup& others) {
      return Experiment::load(other, {}, schema(), facts_of, others);
    });
    learner = std::make_unique<Experiment>(
        Experiment::load(file, {}, schema(), facts_of, ancestry.lookup()));
    run = store.begin_run({"test", "test", "0", "{}"});
    declare(store, *learner, make_plan(*learner, store));
    declare(store, population(), make_plan(population(), store));
  }

  void write(const std::string& name, const std::string& text) const {
    std::ofstream(folder.path() / name, std::ios::binary) << text;
  }
  const Experiment& population() const { return *learner->others()[0].experiment; }
  Plan plan() const { return make_plan(*learner, store); }
  void keep(std::size_t number, Outcome outcome = Outcome::Done) {
    const Trial trial = population().trial(number);
    Record record;
    record.trial = trial.id;
    record.outcome = outcome;
    record.step = outcome == Outcome::Done ? 20 : 7;
    if (outcome == Outcome::Done)
      record.saved.push_back({20, 0, trial.state(20), sha256(std::to_string(number)), 8});
    store.keep(run, record);
    store.flush();
  }

  TemporaryFolder folder;
  std::unique_ptr<Experiment> learner;
  Store store = Store::in_memory();
  RunId run = 0;
};

}  // namespace

TEST_CASE("networks that are examples are trained first, those that are selected alone") {
  Learning world;
  CHECK(world.plan().inherited.size() == 2);
  const auto lacking = lacking_states(world.plan(), 0);
  CHECK(plan_of_states(world.population(), world.store, lacking).order ==
        std::vector<std::size_t>{1, 2});
  const Assignment too_early = assignment(*world.learner, world.plan(), 0);
  CHECK(too_early.refused.find("one of its examples is step 20 of trial 1 (seeds.init=1) of "
                               "\"population\", which has not been trained that far") !=
        std::string::npos);

  world.keep(1);
  world.keep(2);
  const Plan plan = world.plan();
  CHECK(lacking_states(plan, 0).empty());
  for (std::size_t stage = 0; stage < plan.stages.size(); ++stage) {
    const Assignment work = assignment(*world.learner, plan, stage);
    CHECK(work.refused.empty());
    REQUIRE(work.population);
    REQUIRE(work.population->networks.size() == 2);
    CHECK(work.population->networks[0].blob == sha256("1"));
    CHECK(work.population->networks[1].blob == sha256("2"));
  }
}

TEST_CASE("a network that diverged is no example, and is told by name") {
  Learning world;
  world.keep(1);
  world.keep(2, Outcome::Diverged);
  const Plan plan = world.plan();
  CHECK(lacking_states(plan, 0).empty());
  for (std::size_t stage = 0; stage < plan.stages.size(); ++stage) {
    CHECK(assignment(*world.learner, plan, stage)
              .refused.find("one of its examples is step 20 of trial 2 (seeds.init=2) of "
                            "\"population\", which diverged at step 7") != std::string::npos);
  }
}

TEST_CASE(
    "checkpoints of networks that are examples stay, though their own experiment keeps none") {
  Learning world;
  for (std::size_t number = 0; number < 3; ++number) world.keep(number);
  const auto has = [&](std::size_t number) {
    const Digest state = world.population().trial(number).state(20);
    const auto known = world.store.states({state}, {});
    return !known.empty() && known.begin()->second.checkpoint.has_value();
  };
  CHECK_FALSE(has(0));
  CHECK(has(1));
  CHECK(has(2));
}
