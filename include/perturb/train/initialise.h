// Initial values of a model's parameters, drawn from the stream seeds.init.
//
// Law: parameter p draws from ("init/" + its name), so that its values depend on the seed, its
// name and its shape, and not on what else the model has.
#pragma once

#include <cstdint>
#include <string>

#include "perturb/core/random.h"
#include "perturb/experiment/condition.h"
#include "perturb/train/flat_state.h"
#include "perturb/train/model.h"

namespace perturb {

/// Fans are PyTorch's: for a convolution both count the kernel's area.
struct InitOptions {
  /// kaiming-uniform       weights and biases U(-b, b), b = 1/sqrt(fan_in); LibTorch's default
  /// kaiming-normal        convolutions N(0, 2/fan_out), the rest as kaiming-uniform: torchvision's
  ///                       residual networks
  /// he                    weights U(-b, b), b = sqrt(6/fan_in)
  /// xavier                weights U(-b, b), b = sqrt(6/(fan_in + fan_out))
  /// uniform               weights U(-bound, bound)
  /// normal                weights N(0, std^2)
  /// flattened-kaiming-he  weights normal, each tensor rescaled to the norm
  ///                       sqrt(fan_in fan_out) sqrt(2)/sqrt(fan_in)
  /// Biases are 0 in all but the first two. Whatever the scheme, normalisation layers start as the
  /// identity, and embeddings are N(0, 0.02^2): small beside what they are added to, as in
  /// Touvron et al., Training data-efficient image transformers (2021).
  std::string scheme = "kaiming-uniform";
  double gain = 1;  ///< factor on all weights, not on biases or embeddings
  double bound = 0.1;
  double std = 0.02;
};

/// As `model.init`, `model.init_gain`, ... of the condition say.
InitOptions init_options(const Condition& condition);

/// Values for one parameter, on the CPU.
Tensor initial_values(Random& random, const Slice& slice, const InitOptions& options);

void initialise(Model& model, const InitOptions& options, std::uint64_t seed);

/// With `init_options` and `seeds.init` of the condition.
void initialise(Model& model, const Condition& condition);

}  // namespace perturb
