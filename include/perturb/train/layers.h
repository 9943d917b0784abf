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
  bool bias = true;          ///< pointless before a normalisation that subtracts the mean
};

/// Two-dimensional convolution: (n, in, h, w) -> (n, out, h', w').
class Convolution {
 public:
  Convolution(Model& model, const std::string& name, const ConvolutionOptions& options);
  Tensor operator()(const Tensor& x) const;

 private:
  Tensor weight_;
  Tensor bias_;  // undefined without one
  std::int64_t stride_;
  std::int64_t padding_;
};

/// y = weight (x - mean) / sqrt(variance + 1e-5) + bias for each channel of (n, channels, h, w),
/// with the statistics of the batch in training and the running ones in evaluation.
///
/// The batch's variance is the biased one; running = 0.9 running + 0.1 batch with the unbiased
/// one, as in PyTorch. Throws Error(Usage) in training if a channel has a single value.
///
/// Ioffe, Szegedy: Batch normalization (2015).
class BatchNorm {
 public:
  /// Parameters name.weight and name.bias, buffers name.running_mean and name.running_var.
  BatchNorm(Model& model, const std::string& name, std::int64_t channels);
  Tensor operator()(const Tensor& x, const Pass& pass) const;

 private:
  std::string name_;
  Tensor weight_, bias_;
  Tensor running_mean_, running_var_;
};

/// y = weight (x - mean) / sqrt(variance + 1e-5) + bias over the last dimension, (..., width).
/// Ba, Kiros, Hinton: Layer normalization (2016).
class LayerNorm {
 public:
  LayerNorm(Model& model, const std::string& name, std::int64_t width);
  Tensor operator()(const Tensor& x) const;

 private:
  Tensor weight_, bias_;
};

struct PoolOptions {
  std::int64_t kernel = 2;  ///< square
  std::int64_t stride = 2;
  std::int64_t padding = 0;  ///< of what is never the largest
};

/// (n, c, h, w) -> (n, c, h', w'), by default h/2 and w/2; odd rows and columns at the end are
/// left out.
Tensor max_pool(const Tensor& x, const PoolOptions& options = {});

/// Every token attends to every token: softmax(q k^T / sqrt(d)) v for each of `heads`, d = width /
/// heads. `qkv` (n, tokens, 3 width) has queries, keys and values side by side, each head by head;
/// gives (n, tokens, width).
///
/// Vaswani et al.: Attention is all you need (2017), section 3.2. Spelt out: LibTorch's own
/// function is not in 1.13, and picks kernels whose backward passes are not deterministic.
Tensor attention(const Tensor& qkv, std::int64_t heads);

using Activation = Tensor (*)(const Tensor&);
/// By its name in the catalog: relu, tanh, gelu, sigmoid, leaky-relu (slope 0.01), identity.
Activation activation(const std::string& name);

}  // namespace perturb
