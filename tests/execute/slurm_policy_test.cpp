#include "execute/slurm_policy.h"

#include <doctest/doctest.h>

#include "perturb/execute/slurm.h"

namespace {

using namespace perturb;

/// How often a stage is tried again that never gets any further.
std::size_t tries(const QueuedTask& task, std::size_t retries, Outcome* outcome = nullptr) {
  Troubles troubles;
  for (std::size_t n = 0; n < 1000; ++n) {
    const Verdict verdict = judge(task, /*progress=*/false, retries, troubles);
    if (verdict.again) continue;
    if (outcome) *outcome = verdict.outcome;
    return n;
  }
  return 1000;
}

}  // namespace

TEST_CASE("what a stage may be to blame for is tried again as often as is allowed") {
  Outcome outcome = Outcome::Done;
  CHECK(tries({.state = "FAILED", .signal = 9}, 2, &outcome) == 2);
  CHECK(outcome == Outcome::Crashed);
  CHECK(tries({.state = "TIMEOUT"}, 3, &outcome) == 3);
  CHECK(outcome == Outcome::TimedOut);
  CHECK(tries({.state = "CANCELLED"}, 1, &outcome) == 1);
  CHECK(outcome == Outcome::Interrupted);
  CHECK(tries({.state = "OUT_OF_MEMORY"}, 5, &outcome) == 0);
  CHECK(outcome == Outcome::OutOfMemory);
}

TEST_CASE("what the cluster is to blame for is tried again whatever is allowed, but not for ever") {
  for (const char* state : {"NODE_FAIL", "PREEMPTED", "BOOT_FAIL", ""}) {
    CHECK(tries({.state = state}, 0) > 10);
    CHECK(tries({.state = state}, 0) < 1000);
  }
}

TEST_CASE("who comes further each time may go on, out of time or told to stop") {
  Troubles troubles;
  const QueuedTask stopped{.state = "FAILED", .status = kStagesLeft};
  for (int n = 0; n < 100; ++n) {
    CHECK(judge({.state = "TIMEOUT"}, /*progress=*/true, 0, troubles).again);
    CHECK(judge(stopped, /*progress=*/true, 0, troubles).again);
  }
  CHECK_FALSE(judge({.state = "TIMEOUT"}, /*progress=*/false, 0, troubles).again);
}

TEST_CASE("the cause says how the task ended, and where") {
  Troubles troubles;
  const auto cause = [&](const QueuedTask& task) { return judge(task, false, 0, troubles).cause; };
  CHECK(cause({.state = "TIMEOUT", .nodes = "n1"}) == "TIMEOUT on n1");
  CHECK(cause({.state = "FAILED", .signal = 9}) == "FAILED, by signal 9 (Killed)");
  CHECK(cause({.state = "FAILED", .status = 137}) == "FAILED, by signal 9 (Killed)");
  CHECK(cause({.state = "FAILED", .status = 3}) == "FAILED with status 3");
  CHECK(cause({}) == "and Slurm does not know how");
}
