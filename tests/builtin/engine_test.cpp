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

TEST_CASE("another version gets no engine") {
  const EngineOptions options;
  CHECK(perturb_engine(kEngineVersion + 1, &options) == nullptr);
}

TEST_CASE("the engine trains") {
  const auto assignment = declared(small_trial()).assignment(0);
  Progress progress;
  const auto record = engine()->train(assignment, progress);
  CHECK(record.outcome == Outcome::Done);
  CHECK(progress.step == assignment.end);
  CHECK(progress.loss > 0);
}

TEST_CASE("what goes wrong before the first step is in the record") {
  auto assignment = declared(small_trial()).assignment(0);
  assignment.trial.condition.set("data.kind", "no-such-data");
  Progress progress;
  const auto record = engine()->train(assignment, progress);
  CHECK(record.outcome == Outcome::Failed);
  CHECK(record.trial == assignment.trial.id);
  CHECK(record.message.find("no-such-data") != std::string::npos);
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
