// What carrying a stage out left behind: the one thing that passes from whoever trains to
// whoever owns the store. Plain data, so that it can cross a thread, a process or a network.
#pragma once

#include <cstdint>
#include <optional>
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
  /// The state of another trial that it was compared with, if any.
  std::optional<Digest> reference = {};
};

/// A checkpoint that was written: the blob is there before the record says so (law 6).
struct Saved {
  std::int64_t step = 0;
  double epoch = 0;
  /// All zeros where a stage was stopped under way: only the owner can tell which state that is.
  Digest state;
  Digest blob;
  std::int64_t bytes = 0;
};

/// A stage leaves one record, or several: one for each checkpoint, with what was measured by then,
/// and one for the rest. So whatever ends the process, what was saved and what was measured agree.
struct Record {
  Digest trial;  ///< the one it was carried out for, to which time and steps are credited
  Outcome outcome = Outcome::Failed;
  std::int64_t step = 0;     ///< steps completed; for a failure, the step that failed
  std::string message;       ///< one line saying what went wrong; empty when done
  double seconds = 0;        ///< wall time
  std::int64_t trained = 0;  ///< optimizer steps actually taken for it
  std::vector<Measured> measured;
  std::vector<Saved> saved;
  /// The state to start from was not there, or damaged: nothing was done, and an earlier one will
  /// do as well.
  bool start_lost = false;
};

/// The record as JSON, for another process; and back. NaN and infinities survive. Throws
/// Error(Usage) for other texts.
std::string to_json(const Record& record);
Record record_from_json(std::string_view text);

}  // namespace perturb
