// One trial under way: its state, and the loop that takes it from step to step. What is in force
// when, and what is measured when, comes resolved in the assignment; the session decides nothing.
//
// Laws: the state at a step depends on the assignment's past alone, not on where anybody paused or
// measured; LibTorch's global generator does not move.
#pragma once

#include <cstddef>
#include <memory>

#include "perturb/core/progress.h"
#include "perturb/experiment/experiment.h"
#include "perturb/store/record.h"
#include "perturb/train/dataset.h"
#include "perturb/train/flat_state.h"
#include "perturb/train/registries.h"

namespace perturb {

class Session {
 public:
  /// Builds the state at step 0, operations at init carried out. `assignment`, `registries` and
  /// `data` (on the condition's device) must outlive the session.
  Session(const Assignment& assignment, const Registries& registries, const Dataset& data);
  ~Session();

  /// Takes steps until step() is `until` (Done), or a loss or parameter is not finite any more
  /// (Diverged; step() is the step that failed), or `progress.stop` is set (Interrupted).
  Outcome advance(Step until, Progress& progress);

  Step step() const;
  const FlatState& state() const;
  /// The values of these metrics of the assignment on the current state.
  std::vector<double> measure(const std::vector<std::size_t>& metrics);

 private:
  struct Parts;
  std::unique_ptr<Parts> parts_;
};

/// Carries the whole assignment out in the calling thread. Never throws: whatever goes wrong is
/// in the record, with what was measured before.
Record carry_out(const Assignment& assignment, const Registries& registries, const Dataset& data,
                 Progress& progress);

}  // namespace perturb
