// A training step without history, for networks so small that LibTorch's graph of operations costs
// more than what they compute. A model derives from it beside Model; tasks look for it.
//
// Law: the same bits as forward() and LibTorch's way back through it.
#pragma once

#include <ATen/core/Tensor.h>

namespace perturb {

using at::Tensor;

class Quick {
 public:
  virtual ~Quick() = default;

  /// What forward() gives in a training pass that nobody watches, without history; undefined where
  /// the quick way is none for this network on these inputs.
  virtual Tensor quick_forward(const Tensor& inputs) = 0;

  /// Adds to the gradients of the parameters, given those of the last quick_forward's outputs.
  virtual void quick_backward(const Tensor& slopes) = 0;
};

}  // namespace perturb
