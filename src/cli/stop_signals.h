// SIGINT and SIGTERM while trials train: the first asks to stop, the second ends the program.
#pragma once

#include <atomic>
#include <signal.h>

#include "perturb/core/error.h"

namespace perturb {

/// While one exists (at most one), the first SIGINT or SIGTERM sets `asked`; the second
/// ends the process at once, which the store survives (law 6).
class StopSignals {
 public:
  StopSignals();
  ~StopSignals();
  StopSignals(const StopSignals&) = delete;
  StopSignals& operator=(const StopSignals&) = delete;

  const std::atomic<bool>& asked() const;
  /// Interrupted or Terminated, by the signal that came.
  ExitCode code() const;

 private:
  struct sigaction interrupt_before_{};
  struct sigaction terminate_before_{};
};

}  // namespace perturb
