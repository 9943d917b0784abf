#include "perturb/train/torch_module.h"

#include <string>

#include <torch/nn/module.h>

namespace perturb {
namespace {

struct Fans {
  std::int64_t in = 0, out = 0;
};

/// PyTorch's, of a weight (out, in, kernel...).
Fans fans_of(const Tensor& weight) {
  if (weight.dim() < 2 || weight.numel() == 0) return {};
  const auto area = weight.numel() / (weight.size(0) * weight.size(1));
  return {weight.size(1) * area, weight.size(0) * area};
}

Role role_of(const std::string& last_name, const Tensor& tensor, bool has_matrix) {
  if (tensor.dim() >= 2) return Role::Weight;
  // A vector called weight scales what it is multiplied with: a normalisation layer's.
  if (last_name == "weight") return Role::Scale;
  return has_matrix ? Role::Bias : Role::Shift;
}

}  // namespace

void adopt(Model& model, const torch::nn::Module& module) {
  const auto parameters = module.named_parameters();
  for (const auto& parameter : parameters) {
    const auto& name = parameter.key();
    const auto dot = name.rfind('.');
    const auto layer = dot == std::string::npos ? std::string() : name.substr(0, dot + 1);
    const auto* weight = parameters.find(layer + "weight");
    const auto fans = fans_of(weight != nullptr ? *weight : parameter.value());
    model.adopt_parameter({
        .name = name,
        .tensor = parameter.value(),
        .role = role_of(name.substr(layer.size()), parameter.value(), fans.in > 0),
        .fan_in = fans.in,
        .fan_out = fans.out,
    });
  }
  for (const auto& buffer : module.named_buffers()) model.add_buffer(buffer.key(), buffer.value());
}

}  // namespace perturb
