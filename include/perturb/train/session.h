// A trial under way: its state, and the loop that takes it from step to step. What is in force
// when, and what is measured when, comes resolved in the assignment; the session decides nothing.
//
// Laws: the state at a step depends on the assignment's past alone, not on where anybody paused or
// measured; LibTorch's global generator does not move.
#pragma once

#include <cstddef>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "perturb/core/progress.h"
#include "perturb/experiment/assignment.h"
#include "perturb/store/blobs.h"
#include "perturb/store/record.h"
#include "perturb/train/dataset.h"
#include "perturb/train/flat_state.h"
#include "perturb/train/registries.h"

namespace perturb {

class Handover;
class SpareThreads;

/// Gives the network that a state generates, on that device, as a checkpoint of it would be. Called
/// by several threads. Throws Error(Store) where one of the states cannot be read.
using Generate = std::function<std::string(const Ancestor&, const std::string& device)>;

/// What a session may use beside the data.
struct SessionMeans {
  SpareThreads* threads = nullptr;  ///< for measuring; none: the calling one does it alone
  const Blobs* blobs = nullptr;  ///< with the states of other experiments that networks begin with
  const Generate* generate = nullptr;  ///< none: no network begins with a generated one
};

class Session {
 public:
  /// Builds the state at step 0, operations at init carried out. `registries`, `data` (on the
  /// condition's device) and `means` must outlive the session, and `assignment` its use. Throws
  /// Error(Usage) where the state that it begins with is of another network, Error(Store) where
  /// that state cannot be read.
  Session(const Assignment& assignment, const Registries& registries, const Dataset& data,
          const SessionMeans& means = {});
  ~Session();

  /// Goes on with another assignment, whose trial has had the same past until now.
  void go_on(const Assignment& next);
  /// Puts the state before the assignment's first step in place, as a snapshot or checkpoint of
  /// another session has it. Throws Error(Store) when it does not fit the model.
  void restore(const Snapshot& state);

  /// Takes steps until step() is `until` (Done), or a loss or parameter is not finite any more
  /// (Diverged; step() is the step that failed), or `progress.stop` is set (Interrupted).
  Outcome advance(Step until, Progress& progress);

  /// What an intervention draws toward in the next step.
  void draw_toward(Snapshot reference);

  Step step() const;
  const FlatState& state() const;
  /// The optimizer that the moments belong to; empty at step 0.
  const std::string& optimizer() const;
  /// The values of these metrics of the assignment on the current state. What they compare with is
  /// `state`, that of another trial; null where none of them compares with one.
  std::vector<double> measure(const std::vector<std::size_t>& metrics,
                              const Reference* other = nullptr, const Snapshot* state = nullptr);
  /// A state laid out as that other trial's are, for reading a checkpoint of it.
  const FlatState& like(const Reference& trial);

 private:
  struct Twin;
  struct Parts;
  std::unique_ptr<Parts> parts_;
};

/// What carrying a stage out needs beside the assignment. All of it outlives the call.
struct Means {
  const Registries& registries;
  std::shared_ptr<const Dataset> data;
  const Blobs* blobs = nullptr;          ///< for checkpoints; none: nothing is saved
  const Generate* generate = nullptr;    ///< for networks that begin with generated ones
  Handover* handover = nullptr;          ///< for states that wait in memory; none: they are saved
  SpareThreads* threads = nullptr;       ///< for measuring; none: the calling one does it alone
  std::function<void(Record&&)> report;  ///< takes what was done up to each checkpoint
};

/// Carries the assignment out in the calling thread and returns the record of what was not
/// reported. Never throws: whatever goes wrong is in the record, with what was measured before.
Record carry_out(const Assignment& assignment, Progress& progress, const Means& means);

}  // namespace perturb
