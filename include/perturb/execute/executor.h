// Carries stages out somewhere: in a pool of threads, in processes of their own, on a cluster.
// Knows nothing of training and nothing of what to run next; the plan and the loop over it (run.h)
// decide that.
#pragma once

#include <cstddef>
#include <filesystem>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "perturb/core/progress.h"
#include "perturb/experiment/assignment.h"
#include "perturb/store/record.h"

namespace perturb {

/// A trial that goes through a stage, and the step at which the trial ends.
struct Passing {
  Digest trial;
  Step end = 0;
};

/// What a stage is to whoever carries it out. `number` is its name between those who start it and
/// those who hear of it.
struct Job {
  std::size_t number = 0;
  Assignment assignment;

  // Only for an executor that takes stages ahead of what they wait for, which has to see to it that
  // they begin in order. All of these were started before.
  std::optional<std::size_t> parent;  ///< its end is this one's start
  std::vector<std::size_t> after;     ///< have to be over before, in whatever way
  std::vector<Passing> trials;
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
  /// There is no record and none will follow: the stage never began, because what it goes on from
  /// did not end well, or it is left to go on without us. Nothing is known of its end.
  bool left = false;
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
  /// Whether stages are to be started before what they wait for is over: where a stage waits in a
  /// queue for hours, those after it had better wait there, too. Whoever gives the assignments then
  /// leaves open which blobs the stages before will have made (see perturb/plan/ahead.h).
  virtual bool ahead() const { return false; }
  virtual void start(Job job) = 0;
  /// Blocks until a record has come of some started stage, at most `milliseconds`; false if none
  /// did. The records of a stage come in order.
  virtual bool wait(int milliseconds, Event& event) = 0;
  virtual std::vector<Running> running() const = 0;
  /// Asks every stage under way to stop at its next step, or leaves it to go on without us where it
  /// can. Returns at once.
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
