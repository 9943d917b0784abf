// Reads [[variations]]: an entry is a product of its keys' levels.
#pragma once

#include "experiment/reading.h"

namespace perturb {

/// One entry; its axes multiply those of the entries before it.
void read_variation(Reading& reading, const Node& entry);

}  // namespace perturb
