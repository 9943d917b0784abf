#include "perturb/train/model.h"

#include <algorithm>
#include <utility>

#include <ATen/ATen.h>

#include "perturb/core/error.h"
#include "perturb/core/random.h"
#include "perturb/train/draw.h"

namespace perturb {
namespace {

class Listener final : public Probe {
 public:
  Tensor at(std::string_view point, const Tensor& value) override {
    names.emplace_back(point);
    return value;
  }
  std::vector<std::string> names;
};

}  // namespace

Tensor Model::add_parameter(std::string name, const std::vector<std::int64_t>& shape, Role role,
                            std::int64_t fan_in, std::int64_t fan_out) {
  auto tensor = at::zeros(shape, at::kFloat).set_requires_grad(true);
  adopt_parameter({std::move(name), tensor, role, fan_in, fan_out});
  return tensor;
}

void Model::adopt_parameter(ModelParameter parameter) {
  const bool taken = std::any_of(parameters_.begin(), parameters_.end(),
                                 [&](const auto& other) { return other.name == parameter.name; });
  if (taken) throw Error(ExitCode::Bug, "the model has two parameters " + parameter.name);
  parameters_.push_back(std::move(parameter));
}

Tensor Model::add_buffer(std::string name, Tensor values) {
  buffers_.push_back({std::move(name), values});
  return values;
}

void Model::add_unit_group(UnitGroup group) {
  for (const auto& axis : group.axes) {
    const auto fits = [&](const auto& one) {
      return one.name == axis.tensor && axis.dimension < one.tensor.dim() &&
             axis.offset + group.units * axis.block <= one.tensor.size(axis.dimension);
    };
    if (std::none_of(parameters_.begin(), parameters_.end(), fits) &&
        std::none_of(buffers_.begin(), buffers_.end(), fits)) {
      throw Error(ExitCode::Bug, "the units of " + group.name + " do not fit " + axis.tensor);
    }
  }
  unit_groups_.push_back(std::move(group));
}

void Model::add_attention(weights::Attention attention) {
  for (auto& group : attention.groups()) add_unit_group(std::move(group));
  attentions_.push_back(std::move(attention));
}

std::vector<std::string> point_names(Model& model, const Tensor& inputs) {
  const at::NoGradGuard no_gradients;
  Listener listener;
  auto pass = Pass::evaluation();
  pass.add(listener);
  model.forward(inputs, pass);
  return listener.names;
}

Tensor Pass::dropout(std::string_view point, const Tensor& x, double probability) const {
  if (!training_ || probability == 0) return x;
  Random stream(dropout_seed_, "dropout/" + std::string(point), static_cast<std::uint64_t>(step_));
  const auto kept = draw_uniform(stream, x.sizes().vec()).ge_(probability);
  return x * kept.div_(1 - probability).to(x.device());
}

}  // namespace perturb
