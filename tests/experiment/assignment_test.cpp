#include "perturb/experiment/assignment.h"

#include <limits>

#include <doctest/doctest.h>

#include "experiment/declared.h"

using namespace perturb;

namespace {

constexpr const char* kRest = R"(
[[metrics]]
kind = "weight-norm"
every = [0, 5]
[[interventions]]
set.optimizer.momentum = 0.5
when = [[3, 7], [12, 15]]
[[interventions]]
kind = "perturb-weights"
epsilon = 0.1
when = "init"
)";

}  // namespace

TEST_CASE("an assignment is the same after a trip through JSON") {
  const Experiment experiment = declared(kBase + std::string(kRest));
  for (std::size_t number = 0; number < experiment.trials(); ++number) {
    Assignment before = experiment.assignment(number);
    before.begin = 3;
    before.checkpoint = sha256("blob");
    before.heirs = 2;
    before.metrics.front().plugin = sha256("plugin").hex();
    before.saves = {{5, 0.5, sha256("state")}};
    const Assignment after = assignment_from_json(to_json(before));
    CHECK(to_json(after) == to_json(before));
    CHECK(after.trial.id == before.trial.id);
    CHECK(after.trial.timeline.stretches.size() == before.trial.timeline.stretches.size());
    for (std::size_t i = 0; i < after.trial.timeline.stretches.size(); ++i) {
      CHECK(after.trial.timeline.stretches[i].same_as(before.trial.timeline.stretches[i]));
      CHECK(after.trial.timeline.stretches[i].window == before.trial.timeline.stretches[i].window);
    }
    CHECK(after.checkpoint == before.checkpoint);
    CHECK(after.metrics.front().definition() == before.metrics.front().definition());
  }
}

TEST_CASE("values keep their types and every bit") {
  const List values = {true,
                       std::int64_t{1},
                       1.0,
                       0.1,
                       1e-300,
                       "text",
                       List{1, 2.0},
                       std::numeric_limits<double>::infinity(),
                       -std::numeric_limits<double>::infinity()};
  Assignment before = declared(kBase).assignment(0);
  before.trial.condition.set("seeds.init", Value(values));
  const Assignment after = assignment_from_json(to_json(before));
  CHECK(after.trial.condition.at("seeds.init") == Value(values));
}

TEST_CASE("whatever else comes is refused, not believed") {
  const std::string good = to_json(declared(kBase).assignment(0));
  for (std::size_t length = 0; length < good.size(); length += 7)
    CHECK_THROWS_AS(assignment_from_json(good.substr(0, length)), Error);
  for (const char* bad : {"", "null", "[]", "{}", "{\"trial\": 3}"})
    CHECK_THROWS_AS(assignment_from_json(bad), Error);
}
