// Carries stages out somewhere: in a pool of threads, in processes of their own. Knows nothing of
// training and nothing of what to run next; the plan and the loop over it (run.h) decide that.
#pragma once

#include <cstddef>
#include <filesystem>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "perturb/core/progress.h"
#include "perturb/experiment/assignment.h"
#include "perturb/store/record.h"

namespace perturb {

/// What a stage is to whoever carries it out. `number` is its name between those who start it and
/// those who hear of it.
struct Job {
  std::size_t number = 0;
  Assignment assignment;
};

/// Carries the stage out in the calling thread, reporting what was done at every checkpoint;
/// returns the record of the rest. Never throws.
using Carry =
    std::function<Record(const Assignment&, Progress&, const std::function<void(Record&&)>&)>;

/// A record that has come of a stage.
struct Event {
  std::size_t number = 0;
  Record record;
  bool over = true;  ///< none will follow
};

/// A stage under way, as the display sees it.
struct Running {
  std::size_t number = 0;
  std::shared_ptr<const Progress> progress;
};

class Executor {
 public:
  virtual ~Executor() = default;
  /// How many more stages may be started now. At least one when idle.
  virtual std::size_t room() const = 0;
  virtual void start(Job job) = 0;
  /// Blocks until a record has come of some started stage, at most `milliseconds`; false if none
  /// did. The records of a stage come in order.
  virtual bool wait(int milliseconds, Event& event) = 0;
  virtual std::vector<Running> running() const = 0;
  /// Asks every stage under way to stop at its next step. Returns at once.
  virtual void stop() = 0;
};

/// `workers` threads of this process (1: one stage at a time, still beside the caller, so
/// that progress is shown and Ctrl-C is seen while it trains).
std::unique_ptr<Executor> pool(Carry carry, std::size_t workers);

struct IsolationOptions {
  /// The program that a worker is (a path, not looked up in PATH) with its arguments. The folder
  /// for records is added as the last one; it serves as `serve_stages` (worker.h) does.
  std::vector<std::string> command;
  std::size_t workers = 1;
  double timeout = 0;      ///< seconds for one stage, the start of its worker included; 0: any time
  double grace = 10;       ///< seconds that a stage which is asked to stop has for it
  std::size_t memory = 0;  ///< bytes that a worker may allocate; 0: any
  /// For what workers leave. Made by the executor, so not there yet, and removed by it.
  std::filesystem::path folder;
};

/// Worker processes, each with one stage at a time: what crashes, grows or hangs takes nothing else
/// along. Such a stage ends as Crashed, OutOfMemory or TimedOut, with the end of what the worker
/// wrote to stderr in the message; its worker is replaced. Made, called and destroyed in one
/// thread, with whose end the workers are killed. Throws Error when the folder or a worker cannot
/// be made.
std::unique_ptr<Executor> isolated(IsolationOptions options);

}  // namespace perturb
