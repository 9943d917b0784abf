// Reads `every`: at which steps metrics are measured, and states saved.
#pragma once

#include "experiment/document.h"
#include "experiment/problems.h"
#include "perturb/experiment/assignment.h"

namespace perturb {

/// Reads "epoch", "end", "never", a number of steps, { epochs = n }, { log = n }, or a list of
/// steps.
void read_every(const Node& node, Every& every, Problems& problems);

}  // namespace perturb
