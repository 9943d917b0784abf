// The factories of tasks that fit distributions, in parts.
#pragma once

#include "perturb/train/registries.h"

namespace perturb {

void add_discrete_fit(Registries& registries);
void add_adversarial_tasks(Registries& registries);
void add_transport_task(Registries& registries);

}  // namespace perturb
