#include "perturb/train/initialise.h"

#include <cmath>

#include <ATen/ATen.h>

#include "perturb/core/error.h"
#include "perturb/core/random.h"
#include "perturb/train/draw.h"

namespace perturb {
namespace {

using Shape = std::vector<std::int64_t>;

/// U(-bound, bound).
Tensor uniform(Random& random, const Shape& shape, double bound) {
  return draw_uniform(random, shape).mul_(2).sub_(1).mul_(bound);
}

Tensor normal(Random& random, const Shape& shape, double std) {
  return draw_normal(random, shape).mul_(std);
}

/// Normal directions, and exactly the norm that independent entries would have on average.
Tensor of_norm(Random& random, const Shape& shape, double norm) {
  const auto direction = draw_normal(random, shape).to(at::kDouble);
  return (direction * (norm / direction.norm().item<double>())).to(at::kFloat);
}

constexpr double kEmbeddingStd = 0.02;

Tensor weight(Random& random, const Slice& slice, const InitOptions& options) {
  const auto& shape = slice.shape;
  const auto fan_in = static_cast<double>(slice.fan_in);
  const auto fan_out = static_cast<double>(slice.fan_out);
  const double gain = options.gain;
  if (options.scheme == "kaiming-uniform") return uniform(random, shape, gain / std::sqrt(fan_in));
  if (options.scheme == "kaiming-normal") {
    const bool convolution = shape.size() > 2;
    return convolution ? normal(random, shape, gain * std::sqrt(2 / fan_out))
                       : uniform(random, shape, gain / std::sqrt(fan_in));
  }
  if (options.scheme == "he") return uniform(random, shape, gain * std::sqrt(6 / fan_in));
  if (options.scheme == "xavier") {
    return uniform(random, shape, gain * std::sqrt(6 / (fan_in + fan_out)));
  }
  if (options.scheme == "uniform") return uniform(random, shape, gain * options.bound);
  if (options.scheme == "normal") return normal(random, shape, gain * options.std);
  if (options.scheme == "flattened-kaiming-he") {
    return of_norm(random, shape, gain * std::sqrt(fan_in * fan_out) * std::sqrt(2 / fan_in));
  }
  throw Error(ExitCode::Bug, "there is no initialisation " + options.scheme);
}

}  // namespace

InitOptions init_options(const Condition& condition) {
  return {
      .scheme = condition.text("model.init"),
      .gain = condition.number("model.init_gain"),
      .bound = condition.number("model.init_bound"),
      .std = condition.number("model.init_std"),
  };
}

Tensor initial_values(Random& random, const Slice& slice, const InitOptions& options) {
  switch (slice.role) {
    case Role::Weight:
      return weight(random, slice, options);
    case Role::Bias:
      if (options.scheme != "kaiming-uniform" && options.scheme != "kaiming-normal") break;
      return uniform(random, slice.shape, 1 / std::sqrt(static_cast<double>(slice.fan_in)));
    case Role::Scale:
      return at::ones(slice.shape);
    case Role::Embedding:
      return normal(random, slice.shape, kEmbeddingStd);
    case Role::Shift:
      break;
  }
  return at::zeros(slice.shape);
}

void initialise(Model& model, const InitOptions& options, std::uint64_t seed) {
  const at::NoGradGuard no_gradients;
  for (const auto& [name, tensor, role, fan_in, fan_out] : model.parameters()) {
    Random random(seed, "init/" + name);
    const Slice slice = {name, role, 0, tensor.numel(), tensor.sizes().vec(), fan_in, fan_out};
    tensor.copy_(initial_values(random, slice, options));
  }
}

void initialise(Model& model, const Condition& condition) {
  initialise(model, init_options(condition),
             static_cast<std::uint64_t>(condition.integer("seeds.init")));
}

}  // namespace perturb
