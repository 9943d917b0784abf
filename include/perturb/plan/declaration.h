// An experiment as the store knows it: its members, metrics and factors in rows, so that
// results can be asked for by what varies. Made before anything runs.
#pragma once

#include <cstddef>

#include "perturb/experiment/experiment.h"
#include "perturb/plan/plan.h"
#include "perturb/store/store.h"

namespace perturb {

/// `end`: the step at which the trial ends; 0 when it is unknown.
Member member(const Experiment& experiment, std::size_t number, Step end);

/// Makes the store's members of the experiment those of the plan. An unchanged experiment is
/// recognised without making its members.
void declare(Store& store, const Experiment& experiment, const Plan& plan);

}  // namespace perturb
