// The linear map of tiny layers, by loops of our own: where a matrix product takes less time than
// calling for one. Sums run in a fixed order, one term after the other, so that every processor
// gives the same bits.
#pragma once

#include <ATen/core/Tensor.h>

namespace perturb {

using at::Tensor;

/// Whether a layer of this weight (out, in), float on the CPU, is small enough.
bool is_small(const Tensor& weight);

/// x W^T + b: (n, in) to (n, out), with history where its arguments have one. `x` float on the CPU.
/// Differentiable more than once.
Tensor small_linear(const Tensor& x, const Tensor& weight, const Tensor& bias);

/// The same without history.
Tensor small_forward(const Tensor& x, const Tensor& weight, const Tensor& bias);

/// Adds the gradients of the weight and bias of such a layer to theirs; gives that of `x`, or an
/// undefined tensor if it is not wanted. `slopes` (n, out).
Tensor small_backward(const Tensor& x, const Tensor& weight, const Tensor& slopes,
                      const Tensor& weight_gradient, const Tensor& bias_gradient, bool wants_x);

}  // namespace perturb
