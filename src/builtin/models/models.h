// The built-in models, one file a kind of network, and what their factories have in common.
#pragma once

#include <memory>

#include "perturb/experiment/condition.h"
#include "perturb/train/dataset.h"
#include "perturb/train/initialise.h"
#include "perturb/train/model.h"
#include "perturb/train/registries.h"

namespace perturb {

void add_mlps(Registries& registries);
void add_distributions(Registries& registries);
void add_lenet5(Registries& registries);
void add_cnn(Registries& registries);
void add_flows(Registries& registries);
void add_residual_networks(Registries& registries);
void add_vision_transformers(Registries& registries);

/// Throws Error(Usage) unless examples are images, (channels, height, width), whose sides have
/// `least` pixels or more.
void require_images(const Condition& condition, const DataShape& shape, std::int64_t least);

/// A factory from a function that makes the model without choosing its initial values.
template <auto make>
std::unique_ptr<Model> initialised(const Condition& condition, const DataShape& shape) {
  auto model = make(condition, shape);
  initialise(*model, condition);
  return model;
}

}  // namespace perturb
