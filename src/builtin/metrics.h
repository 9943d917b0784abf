// The factories of metrics in parts.
#pragma once

#include <memory>

#include "perturb/train/metric.h"
#include "perturb/train/registries.h"

namespace perturb {

void add_state_metrics(Registries& registries);
void add_function_metrics(Registries& registries);
void add_curvature_metrics(Registries& registries);
void add_noise_metrics(Registries& registries);
void add_parameter_metrics(Registries& registries);
void add_sample_metrics(Registries& registries);
void add_network_metrics(Registries& registries);

template <class Kind>
MetricFactory measured() {
  return [](const Parameters& parameters) { return std::make_unique<Kind>(parameters); };
}

}  // namespace perturb
