// A network that a flow has learnt to generate, as a start for another one.
#pragma once

#include <string>

#include "perturb/experiment/assignment.h"
#include "perturb/store/blobs.h"
#include "perturb/train/dataset.h"
#include "perturb/train/registries.h"

namespace perturb {

/// A checkpoint of network `*from.generated`, as if it had been trained: integrated from its own
/// noise by itself, so that its bits do not depend on which others are generated; running
/// statistics measured on training examples of the networks that were learnt from. `networks`:
/// these, as the flow learnt from them. Throws Error(Store) where the flow cannot be read.
std::string generated_network(const Ancestor& from, const Dataset& networks,
                              const Registries& registries, const Blobs* blobs);

}  // namespace perturb
