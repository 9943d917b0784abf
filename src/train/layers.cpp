#include "perturb/train/layers.h"

#include <cmath>

#include <ATen/ATen.h>

#include "perturb/core/error.h"

namespace perturb {
namespace {

constexpr double kMomentum = 0.1;  // of the running statistics, in PyTorch's sense
constexpr double kEpsilon = 1e-5;  // PyTorch's

}  // namespace

Linear::Linear(Model& model, const std::string& name, std::int64_t in, std::int64_t out)
    : weight_(model.add_parameter(name + ".weight", {out, in}, Role::Weight, in, out)),
      bias_(model.add_parameter(name + ".bias", {out}, Role::Bias, in, out)) {}

Tensor Linear::operator()(const Tensor& x) const { return at::linear(x, weight_, bias_); }

Convolution::Convolution(Model& model, const std::string& name, const ConvolutionOptions& options)
    : stride_(options.stride), padding_(options.padding) {
  const auto area = options.kernel * options.kernel;
  const auto fan_in = options.in * area;
  const auto fan_out = options.out * area;
  weight_ = model.add_parameter(name + ".weight",
                                {options.out, options.in, options.kernel, options.kernel},
                                Role::Weight, fan_in, fan_out);
  if (options.bias)
    bias_ = model.add_parameter(name + ".bias", {options.out}, Role::Bias, fan_in, fan_out);
}

Tensor Convolution::operator()(const Tensor& x) const {
  return at::conv2d(x, weight_, bias_, stride_, padding_);
}

BatchNorm::BatchNorm(Model& model, const std::string& name, std::int64_t channels)
    : name_(name),
      weight_(model.add_parameter(name + ".weight", {channels}, Role::Scale, channels, channels)),
      bias_(model.add_parameter(name + ".bias", {channels}, Role::Shift, channels, channels)),
      running_mean_(model.add_buffer(name + ".running_mean", at::zeros({channels}))),
      running_var_(model.add_buffer(name + ".running_var", at::ones({channels}))) {}

Tensor BatchNorm::operator()(const Tensor& x, const Pass& pass) const {
  if (pass.is_training() && x.numel() == x.size(1)) {
    // Its variance does not exist, and the running one would be NaN from then on.
    throw Error(ExitCode::Usage,
                name_ + " normalises over a batch, which has one example with one pixel a channel",
                "choose data.batch_size such that the last batch of an epoch has two or more");
  }
  // Not cuDNN's, which may choose an algorithm that rounds differently from run to run.
  return at::batch_norm(x, weight_, bias_, running_mean_, running_var_, pass.is_training(),
                        kMomentum, kEpsilon, /*cudnn_enabled=*/false);
}

LayerNorm::LayerNorm(Model& model, const std::string& name, std::int64_t width)
    : weight_(model.add_parameter(name + ".weight", {width}, Role::Scale, width, width)),
      bias_(model.add_parameter(name + ".bias", {width}, Role::Shift, width, width)) {}

Tensor LayerNorm::operator()(const Tensor& x) const {
  return at::layer_norm(x, {x.size(-1)}, weight_, bias_, kEpsilon);
}

Tensor max_pool(const Tensor& x, const PoolOptions& options) {
  return at::max_pool2d(x, options.kernel, options.stride, options.padding);
}

Tensor attention(const Tensor& qkv, std::int64_t heads) {
  const auto n = qkv.size(0), tokens = qkv.size(1), width = qkv.size(2) / 3;
  // (3, n, heads, tokens, d)
  const auto each = qkv.reshape({n, tokens, 3, heads, width / heads}).permute({2, 0, 3, 1, 4});
  const auto q = each[0], k = each[1], v = each[2];
  const double scale = 1 / std::sqrt(static_cast<double>(width / heads));
  const auto shares = at::softmax(at::matmul(q * scale, k.transpose(-2, -1)), -1);
  return at::matmul(shares, v).transpose(1, 2).reshape({n, tokens, width});
}

Activation activation(const std::string& name) {
  if (name == "relu") return [](const Tensor& x) { return at::relu(x); };
  if (name == "tanh") return [](const Tensor& x) { return at::tanh(x); };
  if (name == "gelu") return [](const Tensor& x) { return at::gelu(x); };
  if (name == "sigmoid") return [](const Tensor& x) { return at::sigmoid(x); };
  if (name == "leaky-relu") return [](const Tensor& x) { return at::leaky_relu(x, 0.01); };
  if (name == "identity") return [](const Tensor& x) { return x; };
  throw Error(ExitCode::Bug, "there is no activation " + name);
}

}  // namespace perturb
