// Doses: numeric parameters of interventions that vary.
#pragma once

#include <cstddef>
#include <string>
#include <vector>

#include "perturb/experiment/experiment.h"

namespace perturb {

/// Their names as factors, in the order of the file; seeds are none. `least`: how many levels.
std::vector<std::string> doses(const Experiment& experiment, std::size_t least = 2);

}  // namespace perturb
