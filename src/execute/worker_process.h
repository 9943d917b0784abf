// A worker process as whoever owns it sees it: how it is started, spoken to and ended. Not what
// the words mean; stages are the executor's (isolated.cpp).
//
// No process outlives its object, nor, by the kernel's doing, the thread that made the object.
#pragma once

#include <cstddef>
#include <filesystem>
#include <optional>
#include <string>
#include <string_view>
#include <sys/types.h>
#include <vector>

namespace perturb {

struct WorkerProcessOptions {
  std::vector<std::string> command;  ///< a path, not looked up in PATH, and its arguments
  std::filesystem::path log;         ///< takes what it writes to stderr
  std::size_t memory = 0;            ///< bytes of data (RLIMIT_DATA); 0: no limit of ours
};

class WorkerProcess {
 public:
  /// Returns when the program runs. Throws Error(Disk) when it cannot be started.
  explicit WorkerProcess(const WorkerProcessOptions& options);
  /// Kills it, if it has not ended, and waits.
  ~WorkerProcess();
  WorkerProcess(const WorkerProcess&) = delete;
  WorkerProcess& operator=(const WorkerProcess&) = delete;

  /// Its standard input and output: for poll. Readable too when it has ended.
  int channel() const { return channel_; }
  /// Writes a line to its standard input. False when nobody reads it any more.
  bool send(const std::string& line) const;
  /// No more lines will be sent: it should end.
  void close_input() const;
  /// The lines it has written since, without waiting. A line that no worker of ours would write, so
  /// long it is, is dropped.
  std::vector<std::string> receive();
  /// Whether it has closed its standard output, as far as `receive` has seen.
  bool closed() const { return closed_; }

  void terminate() const;  ///< SIGTERM to the process itself
  void kill() const;       ///< SIGKILL to all it has started in its process group
  /// Whether it has ended. It can still be signalled: its number is taken until `finish`.
  bool ended() const;
  /// Kills what is left of it, waits, and returns its wait status; nothing when the system gives
  /// none (SIGCHLD is ignored). To be called once.
  std::optional<int> finish();

  /// Forgets what it has written to stderr.
  void clear_log() const;
  /// The end of what it has written to stderr, at most some kilobytes.
  std::string end_of_log() const;

 private:
  pid_t process_ = -1;  ///< and the number of its process group; -1 when waited for
  int channel_ = -1;
  int log_ = -1;
  bool closed_ = false;
  std::string unfinished_;  ///< the beginning of a line
};

}  // namespace perturb
