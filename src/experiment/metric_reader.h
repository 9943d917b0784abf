// Reads [[metrics]], and adds those that are measured unasked.
#pragma once

#include "experiment/reading.h"

namespace perturb {

/// After the base condition and the variations: what is measured unasked depends on the tasks.
void read_metrics(Reading& reading, const Node& root);

}  // namespace perturb
