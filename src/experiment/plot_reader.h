// Reads [[plots]]. What a plot names must be measured, or vary.
#pragma once

#include "experiment/reading.h"

namespace perturb {

/// One entry. After variations, interventions and metrics, which it chooses from.
void read_plot(Reading& reading, const Node& entry);

}  // namespace perturb
