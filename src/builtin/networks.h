// The data set that is made of another experiment's trained networks.
#pragma once

#include <memory>

#include "perturb/experiment/assignment.h"
#include "perturb/store/blobs.h"
#include "perturb/train/dataset.h"
#include "perturb/train/registries.h"

namespace perturb {

/// Reads the networks, as `data.*` of the condition wants them: split, aligned, projected.
/// `learnt`: the data that they were trained on. Throws Error(Store) where a network cannot be
/// read, Error(Usage) where networks have different tensors.
Dataset load_networks(const TrainedNetworks& trained, const Condition& condition,
                      std::shared_ptr<const Dataset> learnt, const Registries& registries,
                      const Blobs* blobs);

}  // namespace perturb
