// Everything built in, made available under the names of the catalog.
#pragma once

#include "perturb/train/registries.h"

namespace perturb {

/// Adds a factory for every task, model, data set, optimizer, schedule, intervention and metric
/// of the catalog that this build can carry out.
void add_builtins(Registries& registries);

}  // namespace perturb
