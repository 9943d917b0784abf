#include "perturb/transport/sinkhorn.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include <ATen/ATen.h>

#include "transport/envelope.h"
#include "transport/scaling.h"

namespace perturb::transport {
namespace {

/// Between the potentials of the header and those of softmin.h, which leave the weights out.
Doubles without_weights(const Tensor& potential, const Doubles& weights, double epsilon) {
  auto out = doubles(potential);
  for (std::size_t i = 0; i < out.size(); ++i)
    out[i] = weights[i] > 0 ? out[i] - epsilon * std::log(weights[i]) : 0;
  return out;
}

Doubles with_weights(Doubles potential, const Doubles& weights, double epsilon) {
  for (std::size_t i = 0; i < potential.size(); ++i) potential[i] += epsilon * std::log(weights[i]);
  return potential;
}

void check_start(const std::string& argument, const Tensor& potential, const Doubles& weights) {
  if (!at::isFloatingType(potential.scalar_type()) || potential.dim() != 1 ||
      potential.size(0) != static_cast<std::int64_t>(weights.size()))
    reject(argument, "a potential has a floating-point number for each weight");
  const auto values = doubles(potential);
  for (std::size_t i = 0; i < values.size(); ++i) {
    if (weights[i] > 0 && !std::isfinite(values[i]))
      reject(argument, "it has NaN or infinite entries where there is weight");
  }
}

Potentials start(Softmin& softmin, const Doubles& costs, const SinkhornOptions& options) {
  if (options.f.defined() || options.g.defined()) {
    if (!options.f.defined()) reject("options.f", "options.g comes with it");
    if (!options.g.defined()) reject("options.g", "options.f comes with it");
    check_start("options.f", options.f, softmin.a());
    check_start("options.g", options.g, softmin.b());
    return {without_weights(options.f, softmin.a(), options.epsilon),
            without_weights(options.g, softmin.b(), options.epsilon)};
  }
  const auto [least, most] = std::minmax_element(costs.begin(), costs.end());
  return anneal(softmin, temperatures(*most - *least, options.epsilon, options.scaling), {});
}

}  // namespace

Coupling sinkhorn(const Tensor& a, const Tensor& b, const Tensor& cost,
                  const SinkhornOptions& options) {
  constexpr double kLeast = std::numeric_limits<double>::min();
  constexpr double kMost = std::numeric_limits<double>::max();
  check_tensor("cost", cost, 2);
  const auto n = cost.size(0);
  const auto m = cost.size(1);
  check_weights("a", a, n);
  check_weights("b", b, m);
  check_number("options.epsilon", options.epsilon, kLeast, kMost);
  check_number("options.scaling", options.scaling, kLeast, 1);
  check_number("options.tolerance", options.tolerance, 0, kMost);
  check_number("options.max_iterations", options.max_iterations, 1, kMost);

  const auto costs = doubles(cost);
  const auto left = proportions(doubles(a));
  const auto right = proportions(doubles(b));
  const auto softmin = softmin_of_matrix(costs, left, right);
  auto potentials = start(*softmin, costs, options);
  const auto settled =
      settle(*softmin, options.epsilon, {}, options.tolerance, options.max_iterations, potentials);
  const auto f = with_weights(potentials.f, left, options.epsilon);
  const auto g = with_weights(potentials.g, right, options.epsilon);

  double moved = 0;
  double objective = 0;
  Doubles plan(costs.size());
  for (std::size_t i = 0, entry = 0; i < left.size(); ++i) {
    for (std::size_t j = 0; j < right.size(); ++j, ++entry) {
      if (left[i] == 0 || right[j] == 0) continue;
      plan[entry] = std::exp((f[i] + g[j] - costs[entry]) / options.epsilon);
      moved += plan[entry] * costs[entry];
      objective += plan[entry] * (f[i] + g[j] - options.epsilon);
    }
  }

  Coupling out;
  out.convergence =
      settled.error <= options.tolerance ? Convergence::Reached : Convergence::IterationLimit;
  out.iterations = settled.iterations;
  out.error = settled.error;
  out.plan = tensor_of(plan, {n, m});
  out.f = tensor_of(f, {n});
  out.g = tensor_of(g, {m});
  out.cost = with_slopes(moved, cost, {});
  out.objective = with_slopes(objective, cost,
                              {{cost, plan},
                               {a, through_proportions(f, doubles(a))},
                               {b, through_proportions(g, doubles(b))}});
  return out;
}

}  // namespace perturb::transport
