// Assignments of stages before what they go on from is over: for executors that put whole trees
// into a queue. What is not known yet is which blobs the stages before will leave; the states that
// they will be of are.
#pragma once

#include <cstddef>
#include <functional>
#include <optional>

#include "perturb/plan/plan.h"

namespace perturb {

/// Stands for the blob of a state that is not saved yet. No blob has it: none is all zeros.
inline constexpr Digest kBlobToCome{};

/// As `assignment`, but what other stages will have saved by then has the blob `kBlobToCome`.
Assignment assignment_ahead(const Experiment& experiment, const Plan& plan, std::size_t stage);

/// The blob that a state was saved as, if it was.
using FindBlob = std::function<std::optional<Digest>(const Digest& state)>;
/// The assignment with the blobs that were to come. Comparisons with states that are not to be had
/// are left out, as `assignment` does; nothing when the state to start from is not to be had.
std::optional<Assignment> bound(Assignment assignment, const FindBlob& find);

}  // namespace perturb
