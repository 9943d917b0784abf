#include "perturb/transport/multi_marginal.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include <ATen/ATen.h>
#include <fmt/format.h>

#include "perturb/transport/cost.h"
#include "transport/check.h"
#include "transport/scaling.h"

namespace perturb::transport {
namespace {

constexpr double kMostEntries = 1 << 24;

/// The k axes of the plan.
class Axes {
 public:
  explicit Axes(std::size_t count) : count_(static_cast<std::int64_t>(count)) {}

  /// A vector along axis i, to be broadcast over the others.
  Tensor along(std::size_t i, const Tensor& vector) const {
    std::vector<std::int64_t> shape(static_cast<std::size_t>(count_), 1);
    shape[i] = vector.size(0);
    return vector.reshape(shape);
  }

  /// Every axis but i.
  std::vector<std::int64_t> but(std::size_t i) const {
    std::vector<std::int64_t> rest;
    for (std::int64_t axis = 0; axis < count_; ++axis) {
      if (axis != static_cast<std::int64_t>(i)) rest.push_back(axis);
    }
    return rest;
  }

 private:
  std::int64_t count_;
};

/// sum_i w_i |x_i - mean|^2 = sum_{i < j} w_i w_j |x_i - x_j|^2 for weights of sum one.
Tensor meeting_cost(const std::vector<Tensor>& points, const Doubles& weights) {
  const auto k = points.size();
  std::vector<std::int64_t> shape;
  for (const auto& x : points) shape.push_back(x.size(0));
  auto cost = at::zeros(shape, at::kDouble);
  for (std::size_t i = 0; i < k; ++i) {
    for (std::size_t j = i + 1; j < k; ++j) {
      std::vector<std::int64_t> pair(k, 1);
      pair[i] = shape[i];
      pair[j] = shape[j];
      cost += weights[i] * weights[j] * distance_powers(points[i], points[j], 2).reshape(pair);
    }
  }
  return cost;
}

/// The mean of the points of each entry, (N, d).
Tensor means(const std::vector<Tensor>& points, const Doubles& weights,
             const std::vector<std::int64_t>& shape) {
  std::vector<Tensor> coordinates;
  const Axes axes(points.size());
  for (std::int64_t c = 0; c < points[0].size(1); ++c) {
    auto mean = at::zeros(shape, at::kDouble);
    for (std::size_t i = 0; i < points.size(); ++i)
      mean += weights[i] * axes.along(i, points[i].select(1, c));
    coordinates.push_back(mean.flatten());
  }
  return at::stack(coordinates, 1);
}

}  // namespace

MultiMarginal multi_marginal(const std::vector<Measure>& measures,
                             const MultiMarginalOptions& options) {
  constexpr double kLeast = std::numeric_limits<double>::min();
  constexpr double kMost = std::numeric_limits<double>::max();
  check_measures("measures", measures);
  check_number("options.epsilon", options.epsilon, kLeast, kMost);
  check_number("options.scaling", options.scaling, kLeast, 1);
  check_number("options.tolerance", options.tolerance, 0, kMost);
  check_number("options.max_iterations", options.max_iterations, 1, kMost);
  const auto k = measures.size();
  const auto weights = shares("options.weights", options.weights, k);
  const at::NoGradGuard no_gradient;

  std::vector<Tensor> points, masses_of, log_masses;
  double entries = 1;
  for (const auto& measure : measures) {
    const auto n = measure.points.size(0);
    entries *= static_cast<double>(n);
    points.push_back(measure.points.to(at::kCPU, at::kDouble).reshape({n, coordinates(measure)}));
    masses_of.push_back(tensor_of(proportions(masses(measure)), {n}));
    log_masses.push_back(masses_of.back().log());
  }
  if (entries > kMostEntries) {
    reject("measures", fmt::format("their sizes multiply to {}, more than the {} that are held",
                                   entries, kMostEntries));
  }

  const Axes axes(k);
  const auto cost = meeting_cost(points, weights);
  MultiMarginal out;
  for (const auto& x : points) out.potentials.push_back(at::zeros({x.size(0)}, at::kDouble));
  // What the potentials make of all entries but for the masses along axis `own` (k: none).
  const auto log_plan = [&](double epsilon, std::size_t own) {
    auto log = cost / -epsilon;
    for (std::size_t i = 0; i < k; ++i) {
      log += axes.along(i, out.potentials[i] / epsilon);
      if (i != own) log += axes.along(i, log_masses[i]);
    }
    return log;
  };
  // Makes marginal i exact; returns how far it was off.
  const auto update = [&](std::size_t i, double epsilon) {
    const auto log = log_plan(epsilon, i);
    const auto sums = k == 1 ? log : at::logsumexp(log, axes.but(i));
    out.potentials[i] -= epsilon * sums;
    return ((sums.exp() - 1) * masses_of[i]).abs().sum().item<double>();
  };

  const double range = (cost.max() - cost.min()).item<double>();
  for (const double epsilon : temperatures(range, options.epsilon, options.scaling)) {
    for (std::size_t i = 0; i < k; ++i) update(i, epsilon);
  }
  do {
    ++out.iterations;
    out.error = 0;
    for (std::size_t i = 0; i < k; ++i) out.error = std::max(out.error, update(i, options.epsilon));
  } while (out.error > options.tolerance && out.iterations < options.max_iterations);
  out.convergence =
      out.error <= options.tolerance ? Convergence::Reached : Convergence::IterationLimit;
  out.plan = log_plan(options.epsilon, k).exp();
  out.cost = (out.plan * cost).sum().item<double>();
  const auto& like = measures[0].points;
  out.barycenter.points =
      means(points, weights, cost.sizes().vec()).to(like.options().requires_grad(false));
  out.barycenter.weights = out.plan.flatten().to(like.options().requires_grad(false));
  return out;
}

}  // namespace perturb::transport
