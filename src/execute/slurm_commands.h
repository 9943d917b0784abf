// Asking Slurm: its commands, found in PATH, each with a limit of time, and what their answers
// mean. An answer that is none (an error, a timeout, text that is not understood) says nothing.
#pragma once

#include <cstddef>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace perturb {

struct Answer {
  bool found = true;  ///< there is such a program
  bool ok = false;    ///< it ended with 0, in time
  std::string out;
  std::string err;  ///< as one line
};
/// Runs a program without a shell or input. Blocks until it ends, at most `seconds`.
Answer ask(const std::vector<std::string>& command, int seconds = 60);

struct SlurmLimits {
  std::size_t array = 1001;   ///< MaxArraySize: one more than the largest index
  std::size_t jobs = 10'000;  ///< MaxJobCount, of all users; a task counts as one
};
/// From `scontrol show config`; what it does not say is as Slurm's own default.
SlurmLimits limits_from(std::string_view config);

/// A task as the queue has it.
struct QueuedTask {
  std::string state;   ///< "PENDING", "RUNNING", "TIMEOUT", ...
  std::string reason;  ///< why it waits; "" when it does not
  int status = 0;      ///< that its script ended with
  int signal = 0;      ///< that ended its script
  std::string nodes;

  bool waits() const;  ///< it is to run, or to run again
  bool runs() const;
  bool ended() const { return !state.empty() && !waits() && !runs(); }
};
/// By array's number and index.
using Queue = std::map<std::pair<std::string, std::size_t>, QueuedTask>;

/// What squeue knows of jobs with these names, ended ones included as long as it does. Nothing when
/// it cannot be asked. That a job is not in it proves nothing: see `forgotten`.
std::optional<Queue> queue_of(const std::vector<std::string>& names, std::string* trouble);
/// What `scontrol show job` says of an array's tasks. Nothing when it cannot be asked.
std::optional<Queue> details_of(const std::string& job);
/// Whether the controller answers, and says that there is no such job: it ended a while ago.
bool forgotten(const std::string& job);

/// For tests, and used by the two above.
std::optional<Queue> parse_squeue(std::string_view text);
Queue parse_details(std::string_view text);

}  // namespace perturb
