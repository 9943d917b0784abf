#include "perturb/train/layers.h"

#include <ATen/ATen.h>

#include "perturb/core/error.h"

namespace perturb {

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
  bias_ = model.add_parameter(name + ".bias", {options.out}, Role::Bias, fan_in, fan_out);
}

Tensor Convolution::operator()(const Tensor& x) const {
  return at::conv2d(x, weight_, bias_, stride_, padding_);
}

Tensor max_pool(const Tensor& x) { return at::max_pool2d(x, 2); }

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
