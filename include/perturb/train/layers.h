// The layers that models are made of. A layer is a few tensors that belong to its model and an
// operator(): no initial values (train/initialise.h), no global generator, no registration by
// reflection. torch::nn's layers draw from the global generator as soon as they are made.
#pragma once

#include <cstdint>
#include <string>

#include <ATen/core/Tensor.h>

#include "perturb/train/model.h"

namespace perturb {

/// y = x W^T + b over the last dimension: (..., in) -> (..., out).
class Linear {
 public:
  Linear(Model& model, const std::string& name, std::int64_t in, std::int64_t out);
  Tensor operator()(const Tensor& x) const;

 private:
  Tensor weight_;
  Tensor bias_;
};

struct ConvolutionOptions {
  std::int64_t in = 1;  ///< channels
  std::int64_t out = 1;
  std::int64_t kernel = 3;  ///< square
  std::int64_t stride = 1;
  std::int64_t padding = 0;  ///< zeros on every side
};

/// Two-dimensional convolution with bias: (n, in, h, w) -> (n, out, h', w').
class Convolution {
 public:
  Convolution(Model& model, const std::string& name, const ConvolutionOptions& options);
  Tensor operator()(const Tensor& x) const;

 private:
  Tensor weight_;
  Tensor bias_;
  std::int64_t stride_;
  std::int64_t padding_;
};

/// (n, c, h, w) -> (n, c, h/2, w/2), odd rows and columns at the end left out.
Tensor max_pool(const Tensor& x);

using Activation = Tensor (*)(const Tensor&);
/// By its name in the catalog: relu, tanh, gelu, sigmoid, leaky-relu (slope 0.01), identity.
Activation activation(const std::string& name);

}  // namespace perturb
