// Reads [[interventions]]: what each does, when, and with which levels.
#pragma once

#include "experiment/reading.h"

namespace perturb {

/// One entry; several interventions where it says `alone`.
void read_intervention(Reading& reading, const Node& entry);

}  // namespace perturb
