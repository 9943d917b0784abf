#include "perturb/plan/why.h"

#include <doctest/doctest.h>

#include "experiment/declared.h"
#include "perturb/plan/declaration.h"

namespace {

using namespace perturb;

/// A store in which some trials of an experiment are done.
struct Fixture {
  Store store = Store::in_memory();
  RunId run = store.begin_run({"test", "test", "0", "{}"});

  void keep(const Experiment& experiment, std::size_t number, Outcome outcome = Outcome::Done) {
    declare(store, experiment, make_plan(experiment, store));
    const Assignment whole = experiment.assignment(number);
    Record record;
    record.trial = whole.trial.id;
    record.outcome = outcome;
    record.step = outcome == Outcome::Done ? whole.end : 7;
    record.message = outcome == Outcome::Done ? "" : "no more";
    for (const Measurement& m : whole.measurements) {
      if (m.step > record.step) continue;
      for (const std::size_t metric : m.metrics)
        record.measured.push_back(
            {m.step, m.epoch, m.state, whole.metrics[metric].definition(), 1.0});
    }
    store.keep(run, record);
    store.flush();
  }

  Explanation explained(const Experiment& experiment, std::size_t number = 0) const {
    return explain(experiment, make_plan(experiment, store), store, {number}).front();
  }
};

const std::string kName = "name = \"one\"\n";

}  // namespace

TEST_CASE_FIXTURE(Fixture, "every reason is told in a sentence") {
  const Experiment one = declared(kName + kBase);
  CHECK(explained(one).because == "the store has nothing of its past");
  CHECK_FALSE(explained(one).nearest);
  keep(one, 0, Outcome::Failed);
  CHECK(explained(one).because ==
        "failed at step 7: no more; trained from the beginning: there is no checkpoint on its way");
  keep(one, 0);
  CHECK(explained(one).because == "all 30 steps were trained, and everything was measured");
  CHECK(explained(declared(kName + kBase, {"train.epochs=5"})).because ==
        "trained to step 30 of 50; trained from the beginning: there is no checkpoint on its way");
  const auto more = "[[metrics]]\nkind = \"weight-norm\"\nevery = [3, 5]\n";
  CHECK(explained(declared(kName + kBase + more))
            .because.starts_with("weight_norm was not measured at step 3 and 1 more; "));
}

TEST_CASE_FIXTURE(Fixture,
                  "a new trial names the nearest one and the fields in which they differ") {
  const Experiment grid =
      declared(kName + kBase + "[[variations]]\noptimizer.lr = [0.1, 0.2]\nseeds.init = [0, 1]\n");
  for (std::size_t number = 0; number < 4; ++number) keep(grid, number);
  const auto explanation = explained(
      declared("name = \"other\"\n" + kBase, {"optimizer.lr=0.2", "optimizer.momentum=0.5"}));
  REQUIRE(explanation.nearest);
  CHECK(explanation.nearest->experiment == "one");
  CHECK(explanation.nearest->number == 2);  // lr 0.2, seed 0
  REQUIRE(explanation.differences.size() == 1);
  CHECK(explanation.differences[0].name == "optimizer.momentum");
  CHECK(explanation.differences[0].here == "0.5");
  CHECK(explanation.differences[0].there == "0.9");
}

TEST_CASE_FIXTURE(Fixture, "fields that are no part of identity are no difference") {
  keep(declared(kName + kBase), 0);
  const auto explanation =
      explained(declared(kBase, {"optimizer.lr=0.2", "train.threads=2", "train.epochs=1"}));
  REQUIRE(explanation.differences.size() == 1);
  CHECK(explanation.differences[0].name == "optimizer.lr");
}

TEST_CASE_FIXTURE(Fixture, "other data and another revision are named, and not only other fields") {
  const Experiment before = declared(kName + kBase);
  keep(before, 0);
  const auto change = [&](Schema schema, const std::string& content) {
    const Experiment after = Experiment::parse({"test.toml", kName + kBase}, "/", {}, schema,
                                               [&](const Condition& condition) {
                                                 DataFacts facts = test_data(condition);
                                                 facts.digest = sha256(content);
                                                 return facts;
                                               });
    return explained(after).differences;
  };
  const auto data = change(builtin_schema(), "other pictures");
  REQUIRE(data.size() == 1);
  CHECK(data[0].name == "content of the data");

  Schema newer;
  for (const auto family :
       {Family::Task, Family::Model, Family::Data, Family::Optimizer, Family::Schedule,
        Family::Train, Family::Seeds, Family::Intervention, Family::Metric, Family::Plot}) {
    for (const Component* component : test_schema().all(family)) {
      Component copy = *component;
      if (copy.name == "lenet5") copy.revision = 2;
      newer.add(copy);
    }
  }
  const auto revision = change(newer, "fashion-mnist");
  REQUIRE(revision.size() == 1);
  CHECK(revision[0].name == "revision of model lenet5");
  CHECK(revision[0].here == "2");
  CHECK(revision[0].there == "1");
}

TEST_CASE_FIXTURE(Fixture,
                  "a schedule that ends with the run says that it blocks reuse, and what helps") {
  const std::string cosine = kName + kBase + "[schedule]\nkind = \"cosine\"\n";
  keep(declared(cosine), 0);
  const Experiment longer = declared(cosine, {"train.epochs=10"});
  const std::string advice = explained(longer).advice;
  CHECK(advice.find("schedule.horizon=30") != std::string::npos);
  CHECK(blocked_reuse(longer, make_plan(longer, store), store) == advice);
  const Experiment other = declared(cosine, {"optimizer.lr=0.3"});
  CHECK(blocked_reuse(other, make_plan(other, store), store).empty());
  const Experiment constant = declared(kBase);
  CHECK(blocked_reuse(constant, make_plan(constant, store), store).empty());
}
