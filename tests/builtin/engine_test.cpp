#include "perturb/train/engine.h"

#include <memory>

#include "doctest_torch.h"
#include "train/declared.h"

namespace perturb {
namespace {

std::unique_ptr<Engine> engine() {
  const EngineOptions options = {.data_folders = data_folders({})};
  return std::unique_ptr<Engine>(perturb_engine(kEngineVersion, &options));
}

void nobody(Record&&) {}

TEST_CASE("another version gets no engine") {
  const EngineOptions options;
  CHECK(perturb_engine(kEngineVersion + 1, &options) == nullptr);
}

TEST_CASE("the engine trains") {
  const auto assignment = declared(small_trial()).assignment(0);
  Progress progress;
  const auto record = engine()->train(assignment, progress, nobody);
  CHECK(record.outcome == Outcome::Done);
  CHECK(progress.step == assignment.end);
  CHECK(progress.loss > 0);
}

TEST_CASE("what goes wrong before the first step is in the record") {
  auto assignment = declared(small_trial()).assignment(0);
  assignment.trial.timeline.stretches.front().condition.set("data.kind", "no-such-data");
  Progress progress;
  const auto record = engine()->train(assignment, progress, nobody);
  CHECK(record.outcome == Outcome::Failed);
  CHECK(record.trial == assignment.trial.id);
  CHECK(record.message.find("no-such-data") != std::string::npos);
}

TEST_CASE("what an intervention sets for the whole run is what is trained, the model included") {
  const auto net = "[[interventions]]\nset.model.hidden = [3]\nset.seeds.init = 5\n";
  const auto set = declared(small_trial() + net).assignment(1);
  const auto base = declared(small_trial(), {"model.hidden=[3]", "seeds.init=5"}).assignment(0);
  CHECK(set.trial.id == base.trial.id);
  Progress progress;
  const auto a = engine()->train(set, progress, nobody);
  const auto b = engine()->train(base, progress, nobody);
  REQUIRE(a.outcome == Outcome::Done);
  REQUIRE(a.measured.size() == b.measured.size());
  // Bitwise: the same trial, however it was declared.
  for (std::size_t i = 0; i < a.measured.size(); ++i) {
    CHECK(a.measured[i].value == b.measured[i].value);
  }
}

TEST_CASE("numerics are known") {
  const auto numerics = engine()->numerics(/*measure=*/false);
  CHECK_FALSE(numerics.libtorch.empty());
  CHECK_FALSE(numerics.blas.empty());
  CHECK_FALSE(numerics.cpu.empty());
  CHECK(numerics.gflops == 0);
}

}  // namespace
}  // namespace perturb
