// Tries plugins in a process of their own, so that one which crashes, exits or hangs while it is
// loaded is a message, and not the end of the program. The process is the program itself, with a
// command that is not for people.
#pragma once

#include <cstddef>
#include <optional>
#include <string>
#include <sys/types.h>
#include <vector>

#include "perturb/core/error.h"
#include "perturb/plugin/load.h"

namespace perturb {

class PluginProbe {
 public:
  /// Starts the process and returns. Throws Error(Disk) when there can be none.
  explicit PluginProbe(const std::vector<PluginFile>& files);
  PluginProbe(const PluginProbe&) = delete;
  PluginProbe& operator=(const PluginProbe&) = delete;
  ~PluginProbe();

  struct Crash {
    std::size_t number = 0;  ///< of the file
    Error error;             ///< how the process ended and what it said last
  };
  /// Blocks until all were loaded or the process ended, a minute at most. Nothing when none takes
  /// its process along; whether one is refused otherwise, loading it says.
  std::optional<Crash> wait();

 private:
  bool read_until(double deadline);
  int reap();

  std::vector<PluginFile> files_;
  pid_t process_ = -1;
  int progress_ = -1;  // a byte when a file's turn comes, and one when all are done
  int output_ = -1;    // both streams of the process
  std::size_t begun_ = 0;
  std::string said_;
};

}  // namespace perturb
