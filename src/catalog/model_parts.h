// The names of what the built-in models are made of, without making them: a pattern in an
// experiment file is checked against them. The conformance test holds them to the models.
#pragma once

#include <cstddef>
#include <cstdint>

#include "perturb/experiment/schema.h"

namespace perturb {

/// Of an MLP with so many hidden layers.
ModelParts mlp_parts(std::size_t hidden);
ModelParts normal_parts(const Condition& condition);
ModelParts binomial_parts(const Condition& condition);
ModelParts lenet5_parts(const Condition& condition);
ModelParts cnn_parts(const Condition& condition);
ModelParts flow_parts(const Condition& condition);

/// A network of basic blocks.
struct ResidualLayout {
  int stages = 3;
  int blocks = 3;           ///< in each stage
  bool large_stem = false;  ///< with pooling
  bool shortcuts = true;
};
ModelParts residual_parts(const ResidualLayout& layout);

/// Of a vision transformer with so many blocks.
ModelParts vit_parts(std::int64_t depth, std::int64_t heads);

}  // namespace perturb
