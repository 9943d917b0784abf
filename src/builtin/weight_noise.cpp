#include "builtin/weight_noise.h"

#include <algorithm>
#include <cmath>
#include <cstddef>

#include <ATen/ATen.h>

#include "builtin/selection.h"
#include "perturb/train/draw.h"

namespace perturb {

NoiseUnit noise_unit(const std::string& relative_to) {
  if (relative_to == "norm") return NoiseUnit::Norm;
  if (relative_to == "std") return NoiseUnit::Std;
  return relative_to == "filter" ? NoiseUnit::Filter : NoiseUnit::None;
}

double scale(NoiseUnit unit, const Tensor& p) {
  if (unit == NoiseUnit::None) return 1;
  if (unit == NoiseUnit::Std) return p.numel() < 2 ? 0 : p.std().item<double>();
  return p.norm().item<double>() / std::sqrt(static_cast<double>(p.numel()));
}

std::vector<Tensor> pieces(NoiseUnit unit, const Tensor& tensor) {
  if (unit != NoiseUnit::Filter || tensor.dim() < 2) return {tensor};
  return tensor.unbind(0);
}

void add_weight_noise(const FlatState& state, const std::string& layers, double strength,
                      NoiseUnit unit, const std::function<Random(const std::string&)>& random) {
  const double least = unit == NoiseUnit::Std ? 1e-8 : 0;
  for (const auto* slice : selected(state, layers)) {
    if (slice->role != Role::Weight) continue;
    auto stream = random(slice->name);
    const auto noise = draw_normal(stream, slice->shape).to(state.parameters().device());
    const auto tensors = pieces(unit, slice->of(state.parameters()));
    const auto noises = pieces(unit, noise);
    for (std::size_t i = 0; i < tensors.size(); ++i)
      tensors[i].add_(noises[i], strength * std::max(scale(unit, tensors[i]), least));
  }
}

}  // namespace perturb
