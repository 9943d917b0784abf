#include "perturb/plan/ahead.h"

#include <string>

#include <doctest/doctest.h>

#include "perturb/catalog/catalog.h"

namespace {

using namespace perturb;

const Schema& schema() {
  static const Schema all = builtin_schema();
  return all;
}

DataFacts facts_of(const Condition&) { return {.train = 640, .test = 64}; }

/// Interventions fork from controls, and are compared with and drawn toward them.
constexpr const char* kForks = R"(
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
epochs = 3
[[variations]]
seeds.init = [0, 1]
[[interventions]]
set.optimizer.lr = [0.2, 0.3]
when = { epochs = [1, 2] }
[[metrics]]
kind = "distance"
to = "control"
every = "epoch"
)";

Digest blob_of(const Digest& state) { return sha256("blob of " + state.hex()); }

/// All states that the plan's stages leave, as if every stage had ended well.
SavedStates all_saved(const Experiment& experiment, const Plan& plan) {
  SavedStates saved;
  for (std::size_t number = 0; number < plan.stages.size(); ++number) {
    const Assignment stage = assignment(experiment, plan, number);
    saved[stage.last] = blob_of(stage.last);
    for (const Save& save : stage.saves) saved[save.state] = blob_of(save.state);
  }
  return saved;
}

FindBlob in(const SavedStates& saved) {
  return [&saved](const Digest& state) {
    const auto found = saved.find(state);
    return found == saved.end() ? std::nullopt : std::optional(found->second);
  };
}

}  // namespace

TEST_CASE("an assignment made ahead is, once bound, the one made when its time had come") {
  const Experiment experiment =
      Experiment::parse({"test.toml", kForks}, ".", {}, schema(), facts_of);
  const Plan plan = make_plan(experiment, Store::in_memory());
  const SavedStates saved = all_saved(experiment, plan);
  std::size_t to_come = 0;
  for (std::size_t number = 0; number < plan.stages.size(); ++number) {
    const Assignment ahead = assignment_ahead(experiment, plan, number);
    if (ahead.checkpoint == kBlobToCome) ++to_come;
    // Over the wire, as it goes.
    const auto late = bound(assignment_from_json(to_json(ahead)), in(saved));
    REQUIRE(late);
    CHECK(to_json(*late) == to_json(assignment(experiment, plan, number, saved)));
  }
  CHECK(to_come > 0);
}

TEST_CASE("what cannot begin is not bound, and what cannot be compared is left out") {
  const Experiment experiment =
      Experiment::parse({"test.toml", kForks}, ".", {}, schema(), facts_of);
  const Plan plan = make_plan(experiment, Store::in_memory());
  const SavedStates nothing;
  bool compared = false;
  for (std::size_t number = 0; number < plan.stages.size(); ++number) {
    const Assignment ahead = assignment_ahead(experiment, plan, number);
    const auto late = bound(ahead, in(nothing));
    CHECK(late.has_value() == (ahead.checkpoint != kBlobToCome));
    // Only its own beginning is there.
    SavedStates own;
    if (ahead.checkpoint == kBlobToCome) own[ahead.start] = blob_of(ahead.start);
    const auto alone = bound(ahead, in(own));
    REQUIRE(alone);
    compared = compared || alone->measurements.size() < ahead.measurements.size();
    CHECK(to_json(*alone) == to_json(assignment(experiment, plan, number, own)));
  }
  CHECK(compared);
}
