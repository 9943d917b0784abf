// Doses: numeric parameters of interventions with several levels.
#pragma once

#include <string>
#include <vector>

#include "perturb/experiment/experiment.h"

namespace perturb {

/// Their names as factors, in the order of the file; seeds are none.
std::vector<std::string> doses(const Experiment& experiment);

}  // namespace perturb
