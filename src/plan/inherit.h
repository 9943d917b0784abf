// What a plan needs of other experiments.
#pragma once

#include "perturb/plan/plan.h"

namespace perturb {

/// Finds the states that the plan's stages begin with, and those that what they compare with began
/// with, and whether the store has them.
void inherit(const Experiment& experiment, const Store& store, Plan& plan);

}  // namespace perturb
