// Trained networks as examples: who they are, what made them, and what they were trained on. The
// examples themselves are in the Dataset that has a population: a network is a vector of its
// parameters, or of coordinates along principal components, its class its number.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <vector>

#include <ATen/core/Tensor.h>

#include "perturb/experiment/condition.h"
#include "perturb/train/dataset.h"
#include "perturb/weights/pca.h"
#include "perturb/weights/weights.h"

namespace perturb {

/// Read by many threads at once.
struct Population {
  Condition start;                      ///< of the first network's trial
  std::shared_ptr<const Dataset> data;  ///< that the networks were trained on

  /// Float (n, d), aligned if the data are: parameters of the networks, those for training first.
  Tensor networks;
  /// Float (n, b), in the same order and aligned as well: their running statistics.
  Tensor buffers;
  std::int64_t train = 0;  ///< how many of them are for training

  /// Where the examples are coordinates: of what. Computed of the training networks.
  std::optional<weights::Pca> components;

  /// Parameters (m, d) of networks that are (m, k) as examples are.
  Tensor as_parameters(const Tensor& examples) const {
    return components ? components->lift(examples) : examples;
  }
};

}  // namespace perturb
