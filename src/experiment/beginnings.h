// Replicates that begin with another experiment's network: whether each has one of its own.
#pragma once

#include <string>

#include "experiment/problems.h"
#include "experiment/reader.h"
#include "perturb/experiment/experiment.h"

namespace perturb {

/// Warns where levels of seeds.init begin with one and the same network, because `other`, which
/// `reference` (as model.from has it) means, does not vary that seed: such trials look like
/// replicates of the whole, but nothing of what was trained first is replicated.
void warn_of_one_beginning(const Declaration& declared, const std::string& reference,
                           const Experiment& other, Problems& problems);

}  // namespace perturb
