// What carrying a trial out left behind: the one thing that passes from whoever trains to
// whoever owns the store. Plain data, so that it can cross a thread, a process or a network.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "perturb/core/digest.h"

namespace perturb {

/// How a trial ended. Every one of them is a result and is counted in every table.
enum class Outcome {
  Done,
  Diverged,  ///< a loss or parameter became NaN or infinite; deterministic, so never retried
  Failed,    ///< an exception; retried by the next run
  Crashed,   ///< its process died
  OutOfMemory,
  TimedOut,
  Interrupted,  ///< the run was stopped; not a result, and retried by the next run
};
std::string_view name_of(Outcome outcome);
Outcome outcome_from(std::string_view name);

/// Values measured on one state.
struct Measured {
  std::int64_t step = 0;
  double epoch = 0;
  Digest state;
  Digest metric;     ///< MetricSpec::definition()
  double value = 0;  ///< may be NaN or infinite
};

struct Record {
  Digest trial;
  Outcome outcome = Outcome::Failed;
  std::int64_t step = 0;     ///< steps completed; for a failure, the step that failed
  std::string message;       ///< one line saying what went wrong; empty when done
  double seconds = 0;        ///< wall time
  std::int64_t trained = 0;  ///< optimizer steps actually taken for it
  std::vector<Measured> measured;
};

}  // namespace perturb
