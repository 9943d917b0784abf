// What there is in this release: every model, data set, optimizer, intervention, metric and
// plot, described. Data only; the factories live in the training half under the same names.
#pragma once

#include "perturb/experiment/schema.h"

namespace perturb {

/// A fresh copy of the description of everything built in. Costs well under a millisecond.
Schema builtin_schema();

}  // namespace perturb
