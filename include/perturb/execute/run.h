// Carries a plan out: starts trials while there is room, waits, hands each record to whoever
// keeps it. Not the place where trials run (Executor) nor where order is decided (Plan).
//
// Law 8: a trial that fails is a result and stops nothing else.
#pragma once

#include <atomic>
#include <cstddef>
#include <functional>
#include <vector>

#include "perturb/execute/executor.h"

namespace perturb {

/// What happens while a plan is carried out. All called in the thread of `carry_out`.
struct RunEvents {
  /// Keeps a record. What it throws (a full disk) ends the run: going on would train for nothing.
  std::function<void(const Ended&)> keep;
  std::function<void(std::size_t number)> started;
  std::function<void(const Ended&)> ended;
  /// Nothing has ended for a tenth of a second: time for what had better wait.
  std::function<void()> idle;
  /// At least every tenth of a second.
  std::function<void(const std::vector<Running>&)> tick;
};

struct RunOptions {
  bool fail_fast = false;  ///< the first trial that fails or diverges stops the run
  int tick_milliseconds = 100;
};

struct RunCounts {
  std::size_t done = 0;
  std::size_t diverged = 0;
  std::size_t failed = 0;       ///< in whatever way
  std::size_t interrupted = 0;  ///< stopped under way
  std::size_t not_started = 0;
};

/// Returns when all trials of `order` have ended, or, once `stop` is set (by a signal handler,
/// by another thread) or `fail_fast` applies, when those under way have stopped.
RunCounts carry_out(const std::vector<std::size_t>& order, Executor& executor,
                    const RunEvents& events, const std::atomic<bool>& stop,
                    const RunOptions& options = {});

}  // namespace perturb
