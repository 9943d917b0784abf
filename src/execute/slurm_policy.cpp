#include "execute/slurm_policy.h"

#include <cstring>

#include <fmt/format.h>

#include "perturb/execute/slurm.h"

namespace perturb {
namespace {

/// A stage that loses its node that often without a step of progress has something to do with it.
constexpr std::size_t kMostForeign = 20;

std::string cause_of(const QueuedTask& task) {
  std::string text = task.state.empty() ? "and Slurm does not know how" : task.state;
  if (task.state == "FAILED" && task.signal != 0)
    text += fmt::format(", by signal {} ({})", task.signal, ::strsignal(task.signal));
  else if (task.state == "FAILED" && task.status > 128 && task.status <= 128 + 64)
    text += fmt::format(", by signal {} ({})", task.status - 128, ::strsignal(task.status - 128));
  else if (task.state == "FAILED")
    text += fmt::format(" with status {}", task.status);
  if (!task.nodes.empty()) text += " on " + task.nodes;
  return text;
}

}  // namespace

Verdict judge(const QueuedTask& task, bool progress, std::size_t retries, Troubles& troubles) {
  if (progress) troubles = {};
  Verdict verdict{.cause = cause_of(task)};
  const std::string& state = task.state;
  // It would need as much memory again.
  if (state == "OUT_OF_MEMORY") return {false, Outcome::OutOfMemory, verdict.cause};
  if (state == "NODE_FAIL" || state == "PREEMPTED" || state == "BOOT_FAIL" || state.empty()) {
    verdict.again = ++troubles.foreign <= kMostForeign;
    return verdict;
  }
  const bool out_of_time = state == "TIMEOUT" || state == "DEADLINE";
  const bool stopped_in_time = state == "FAILED" && task.status == kStagesLeft;
  if (out_of_time) verdict.outcome = Outcome::TimedOut;
  if (state == "CANCELLED") verdict.outcome = Outcome::Interrupted;
  // What comes further each time ends some time.
  if (progress && (out_of_time || stopped_in_time)) return verdict;
  verdict.again = ++troubles.own <= retries;
  return verdict;
}

}  // namespace perturb
