#include "perturb/train/initialise.h"

#include <cmath>

#include <ATen/ATen.h>

#include "perturb/core/error.h"
#include "perturb/core/random.h"
#include "perturb/train/draw.h"

namespace perturb {
namespace {

/// U(-bound, bound).
Tensor uniform(Random& random, const Tensor& like, double bound) {
  return draw_uniform(random, like.sizes().vec()).mul_(2).sub_(1).mul_(bound);
}

Tensor normal(Random& random, const Tensor& like, double std) {
  return draw_normal(random, like.sizes().vec()).mul_(std);
}

/// Normal directions, and exactly the norm that independent entries would have on average.
Tensor of_norm(Random& random, const Tensor& like, double norm) {
  const auto direction = draw_normal(random, like.sizes().vec()).to(at::kDouble);
  return (direction * (norm / direction.norm().item<double>())).to(at::kFloat);
}

Tensor weight(Random& random, const ModelParameter& parameter, const InitOptions& options) {
  const auto& like = parameter.tensor;
  const auto fan_in = static_cast<double>(parameter.fan_in);
  const auto fan_out = static_cast<double>(parameter.fan_out);
  const double gain = options.gain;
  if (options.scheme == "kaiming-uniform") return uniform(random, like, gain / std::sqrt(fan_in));
  if (options.scheme == "he") return uniform(random, like, gain * std::sqrt(6 / fan_in));
  if (options.scheme == "xavier") {
    return uniform(random, like, gain * std::sqrt(6 / (fan_in + fan_out)));
  }
  if (options.scheme == "uniform") return uniform(random, like, gain * options.bound);
  if (options.scheme == "normal") return normal(random, like, gain * options.std);
  if (options.scheme == "flattened-kaiming-he") {
    return of_norm(random, like, gain * std::sqrt(fan_in * fan_out) * std::sqrt(2 / fan_in));
  }
  throw Error(ExitCode::Bug, "there is no initialisation " + options.scheme);
}

Tensor initial(Random& random, const ModelParameter& parameter, const InitOptions& options) {
  switch (parameter.role) {
    case Role::Weight:
      return weight(random, parameter, options);
    case Role::Bias:
      if (options.scheme != "kaiming-uniform") break;
      return uniform(random, parameter.tensor,
                     1 / std::sqrt(static_cast<double>(parameter.fan_in)));
    case Role::Scale:
      return at::ones_like(parameter.tensor);
    case Role::Shift:
      break;
  }
  return at::zeros_like(parameter.tensor);
}

}  // namespace

void initialise(Model& model, const InitOptions& options, std::uint64_t seed) {
  const at::NoGradGuard no_gradients;
  for (const auto& parameter : model.parameters()) {
    Random random(seed, "init/" + parameter.name);
    parameter.tensor.copy_(initial(random, parameter, options));
  }
}

void initialise(Model& model, const Condition& condition) {
  initialise(model,
             {
                 .scheme = condition.text("model.init"),
                 .gain = condition.number("model.init_gain"),
                 .bound = condition.number("model.init_bound"),
                 .std = condition.number("model.init_std"),
             },
             static_cast<std::uint64_t>(condition.integer("seeds.init")));
}

}  // namespace perturb
