// Flow matching: what a network that is to carry noise to data is trained on. Straight paths
// between pairs of a source and a data point; the field to be learnt is their direction.
//
// Lipman et al., Flow matching for generative modeling (2023); Tong et al., Improving and
// generalizing flow-based generative models with minibatch optimal transport (2024).
#pragma once

#include <cstdint>

#include <ATen/core/Tensor.h>

#include "perturb/core/random.h"

namespace perturb::weights {

/// How times in [0, 1] are drawn.
enum class Times {
  Uniform,
  Beta25,  ///< Beta(2, 5): more of them early, where the paths part
};

/// (n), float on the CPU.
at::Tensor draw_times(Random& random, Times times, std::int64_t n);

/// On the path from x0 to x1 (n, d) at `times` (n), off it by N(0, sigma^2) noise:
///     x = (1 - t) x0 + t x1 + sigma eps
/// `noise` is eps (n, d). The target there is x1 - x0.
at::Tensor on_the_path(const at::Tensor& x0, const at::Tensor& x1, const at::Tensor& times,
                       const at::Tensor& noise, double sigma);

/// For every row of x0 (n, d) the row of x1 (n, d) that it goes to, at the least sum of squared
/// distances: minibatch optimal transport. int64 (n).
at::Tensor nearest_pairs(const at::Tensor& x0, const at::Tensor& x1);

}  // namespace perturb::weights
