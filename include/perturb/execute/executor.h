// Carries trials out somewhere: in this thread or in a pool. Knows nothing of training and
// nothing of what to run next; the plan decides that.
#pragma once

#include <cstddef>
#include <functional>
#include <memory>
#include <vector>

#include "perturb/core/progress.h"
#include "perturb/store/record.h"

namespace perturb {

/// Carries the trial of that number out in the calling thread; never throws.
using Carry = std::function<Record(std::size_t number, Progress& progress)>;

struct Ended {
  std::size_t number = 0;
  Record record;
};

/// A trial under way, as the display sees it.
struct Running {
  std::size_t number = 0;
  std::shared_ptr<const Progress> progress;
};

class Executor {
 public:
  virtual ~Executor() = default;
  /// How many more trials may be started now. At least one when idle.
  virtual std::size_t room() const = 0;
  virtual void start(std::size_t number) = 0;
  /// Blocks until some started trial has ended, at most `milliseconds`; false if none did.
  virtual bool wait(int milliseconds, Ended& ended) = 0;
  virtual std::vector<Running> running() const = 0;
  /// Asks every trial under way to stop at its next step. Returns at once.
  virtual void stop() = 0;
};

/// `workers` threads of this process (1: one trial at a time, still beside the caller, so
/// that progress is shown and Ctrl-C is seen while it trains).
std::unique_ptr<Executor> pool(Carry carry, std::size_t workers);

}  // namespace perturb
