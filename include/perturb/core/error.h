// Errors that a user can do something about. Our own bugs are asserts, and what a
// computation ends in (diverged, not converged) is a value in its result.
#pragma once

#include <stdexcept>
#include <string>
#include <utility>

namespace perturb {

/// What the program ends with; documented in `perturb --help` and docs/commands.md.
enum class ExitCode : int {
  Done = 0,
  SomeFailed = 1,     ///< the run finished, but at least one trial failed or diverged
  Usage = 2,          ///< the command line or an experiment file is wrong
  Store = 3,          ///< the store is damaged, or newer than this program
  Locked = 4,         ///< another process is writing to the store
  Disk = 5,           ///< no space, no permission, a read or write that failed
  Found = 6,          ///< `verify` or `audit` found something
  Bug = 70,           ///< an internal error: please report it
  Interrupted = 130,  ///< SIGINT; what was finished is kept and the next run goes on
  Terminated = 143,   ///< SIGTERM; likewise
};

/// Something the user can mend. `what()` says what is wrong in one line, `advice()`
/// what to do next (may be empty).
class Error : public std::runtime_error {
 public:
  Error(ExitCode code, const std::string& message, std::string advice = {})
      : std::runtime_error(message), code_(code), advice_(std::move(advice)) {}

  ExitCode code() const { return code_; }
  const std::string& advice() const { return advice_; }

 private:
  ExitCode code_;
  std::string advice_;
};

}  // namespace perturb
