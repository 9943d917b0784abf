// Carries a plan out: starts stages whose beginnings are there while there is room, waits, hands
// each record to whoever keeps it. Not the place where stages run (Executor) nor where it is
// decided which there are (Plan).
//
// Law 8: a trial that fails is a result and stops nothing else.
#pragma once

#include <atomic>
#include <cstddef>
#include <functional>
#include <vector>

#include "perturb/execute/executor.h"
#include "perturb/plan/plan.h"

namespace perturb {

/// What happens while a plan is carried out. All called in the thread of `carry_out`.
struct RunEvents {
  /// What whoever trains has to know of a stage; `saved` is what stages have saved until now.
  /// Null for an executor that takes stages ahead: what is not saved yet is left open.
  std::function<Assignment(std::size_t stage, const SavedStates* saved)> assign;
  /// Keeps a record of a stage, which is about these trials. What it throws (a full disk) ends the
  /// run: going on would train for nothing.
  std::function<void(std::size_t stage, const Record&, const std::vector<Share>&)> keep;
  std::function<void(std::size_t stage)> started;
  /// A trial is over: the last of its stages was done, or one was not. The last record, but with
  /// the seconds of all its stages, those that it shares with others included.
  std::function<void(std::size_t trial, const Record&)> ended;
  /// No stage has left anything for a tenth of a second: time for what had better wait.
  std::function<void()> idle;
  /// At least every tenth of a second.
  std::function<void(const std::vector<Running>&)> tick;
};

struct RunOptions {
  bool fail_fast = false;  ///< the first trial that fails or diverges stops the run
  int tick_milliseconds = 100;
};

/// Of trials.
struct RunCounts {
  std::size_t done = 0;
  std::size_t diverged = 0;
  std::size_t failed = 0;       ///< in whatever way
  std::size_t interrupted = 0;  ///< stopped under way
  std::size_t not_started = 0;  ///< or whose later stages were not
  std::size_t left = 0;         ///< of these, that were left to go on without us
  std::int64_t steps = 0;       ///< taken
  std::vector<bool> over;       ///< by stage: it ended well
  /// Stages that could not begin because their checkpoint cannot be read. They and what would have
  /// gone on from them have to be planned anew.
  std::vector<std::size_t> lost;
};

/// A stage as an executor gets it that takes stages ahead.
Job job_ahead(const Plan& plan, std::size_t stage, Assignment assignment);

/// Returns when all stages have ended, or, once `stop` is set (by a signal handler, by another
/// thread) or `fail_fast` applies, when those under way have stopped.
RunCounts carry_out(const Plan& plan, Executor& executor, const RunEvents& events,
                    const std::atomic<bool>& stop, const RunOptions& options = {});

}  // namespace perturb
