// What there is in this release: every model, data set, optimizer, intervention, metric and
// plot, described. Data only; the factories live in the training half under the same names.
#pragma once

#include <vector>

#include "perturb/experiment/schema.h"

namespace perturb {

/// A fresh copy of the description of everything built in. Costs well under a millisecond.
Schema builtin_schema();

/// These and what every data set has: `batch_size` and `train_examples`.
std::vector<Parameter> data_parameters(std::vector<Parameter> own);

/// These and what `initialise(model, condition)` reads: `init` and what belongs to it.
std::vector<Parameter> model_parameters(std::vector<Parameter> own);

}  // namespace perturb
