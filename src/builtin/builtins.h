// The built-in factories in parts, one function a registry.
#pragma once

#include "perturb/train/registries.h"

namespace perturb {

void add_tasks(Registries& registries);
void add_models(Registries& registries);
void add_data_sets(Registries& registries);
void add_sample_data(Registries& registries);
void add_optimizers(Registries& registries);
void add_guarded_descent(Registries& registries);
void add_schedules(Registries& registries);
void add_metrics(Registries& registries);

}  // namespace perturb
