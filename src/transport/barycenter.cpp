#include "perturb/transport/barycenter.h"

#include <algorithm>
#include <limits>
#include <numeric>

#include <ATen/ATen.h>
#include <fmt/format.h>

#include "perturb/transport/barycentric.h"
#include "perturb/transport/cost.h"
#include "perturb/transport/discrete.h"
#include "transport/check.h"
#include "transport/whole_masses.h"

namespace perturb::transport {
namespace {

constexpr double kLeast = std::numeric_limits<double>::min();
constexpr double kMost = std::numeric_limits<double>::max();

}  // namespace

Measure line_barycenter(const std::vector<Measure>& measures, const Tensor& weights) {
  check_measures("measures", measures);
  if (coordinates(measures[0]) != 1)
    reject("measures[0].points", "points on a line have one coordinate; see free_barycenter");
  const auto share_of = shares("weights", weights, measures.size());

  // Of each measure: points in order, their masses, and how far its quantile function has come.
  struct Walk {
    Doubles points;
    std::vector<std::int64_t> left;
    std::vector<std::size_t> order;
    std::size_t at = 0;
  };
  std::vector<Walk> walks;
  for (const auto& measure : measures) {
    Walk walk{doubles(measure.points), whole_masses(masses(measure)), {}};
    walk.order.resize(walk.points.size());
    std::iota(walk.order.begin(), walk.order.end(), std::size_t{0});
    std::stable_sort(walk.order.begin(), walk.order.end(),
                     [&](std::size_t i, std::size_t j) { return walk.points[i] < walk.points[j]; });
    walks.push_back(std::move(walk));
  }

  Doubles points, mass;
  for (std::int64_t rest = kWhole; rest > 0;) {
    auto step = rest;
    double point = 0;
    for (std::size_t k = 0; k < walks.size(); ++k) {
      auto& walk = walks[k];
      while (walk.left[walk.order[walk.at]] == 0) ++walk.at;
      step = std::min(step, walk.left[walk.order[walk.at]]);
      point += share_of[k] * walk.points[walk.order[walk.at]];
    }
    for (auto& walk : walks) walk.left[walk.order[walk.at]] -= step;
    rest -= step;
    points.push_back(point);
    mass.push_back(share(step));
  }
  const auto count = static_cast<std::int64_t>(points.size());
  const auto& like = measures[0].points;
  return {tensor_like(like, points, {count}), tensor_like(like, mass, {count})};
}

HistogramBarycenter histogram_barycenter(const Tensor& histograms, const Tensor& cost,
                                         const HistogramBarycenterOptions& options) {
  check_tensor("histograms", histograms, 2);
  const auto k = histograms.size(0);
  const auto n = histograms.size(1);
  for (std::int64_t i = 0; i < k; ++i)
    check_weights(fmt::format("histograms[{}]", i), histograms[i], n);
  check_square("cost", cost, n);
  check_number("options.epsilon", options.epsilon, kLeast, kMost);
  check_number("options.tolerance", options.tolerance, 0, kMost);
  check_number("options.max_iterations", options.max_iterations, 1, kMost);
  const at::NoGradGuard no_gradient;
  const auto weights =
      tensor_of(shares("options.weights", options.weights, static_cast<std::size_t>(k)), {k, 1});
  auto p = histograms.to(at::kCPU, at::kDouble);
  p = p / p.sum(1, true);
  const auto kernel = cost.to(at::kCPU, at::kDouble) / -options.epsilon;
  const auto log_p = p.log();
  // Scalings in the log domain, (k, n): plan k is diag(e^u) kernel diag(e^v).
  const auto through = [](const Tensor& log_kernel, const Tensor& v) {
    return at::logsumexp(log_kernel.unsqueeze(0) + v.unsqueeze(1), 2);
  };

  HistogramBarycenter out;
  auto v = at::zeros({k, n}, at::kDouble);
  Tensor log_q;
  while (out.iterations < options.max_iterations) {
    ++out.iterations;
    const auto u = log_p - through(kernel, v);
    const auto marginals = through(kernel.t(), u);
    log_q = (weights * (marginals + v)).sum(0, true);
    out.error = ((marginals + v).exp() - log_q.exp()).abs().sum(1).max().item<double>();
    v = log_q - marginals;
    if (out.error <= options.tolerance) break;
  }
  out.convergence =
      out.error <= options.tolerance ? Convergence::Reached : Convergence::IterationLimit;
  const auto q = log_q[0].exp();
  out.histogram = q / q.sum();
  return out;
}

FreeBarycenter free_barycenter(const std::vector<Measure>& measures, const Tensor& start,
                               const FreeBarycenterOptions& options) {
  check_measures("measures", measures);
  check_tensor("start", start, 2);
  if (start.size(1) != coordinates(measures[0])) {
    reject("start", fmt::format("its points have {} coordinates, those of the measures {}",
                                start.size(1), coordinates(measures[0])));
  }
  check_number("options.tolerance", options.tolerance, 0, kMost);
  check_number("options.max_iterations", options.max_iterations, 1, kMost);
  const auto weights = shares("options.weights", options.weights, measures.size());
  const at::NoGradGuard no_gradient;
  const auto n = start.size(0);
  const auto even = at::full({n}, 1 / static_cast<double>(n), at::kDouble);
  auto points = start.to(at::kCPU, at::kDouble);

  FreeBarycenter out;
  out.convergence = Convergence::IterationLimit;
  while (out.iterations < options.max_iterations) {
    ++out.iterations;
    out.objective = 0;
    auto mean = at::zeros_like(points);
    for (std::size_t k = 0; k < measures.size(); ++k) {
      const auto y = measures[k]
                         .points.to(at::kCPU, at::kDouble)
                         .reshape({measures[k].points.size(0), points.size(1)});
      const auto b = tensor_of(masses(measures[k]), {y.size(0)});
      const auto exact = discrete_transport(even, b, distance_powers(points, y, 2));
      out.objective += weights[k] * exact.cost.item<double>();
      mean += weights[k] * barycentric_map(exact.plan, y);
    }
    const double moved = (mean - points).abs().max().item<double>();
    const double extent = mean.abs().max().item<double>();
    points = mean;
    if (moved <= options.tolerance * extent) {
      out.convergence = Convergence::Reached;
      break;
    }
  }
  out.points = points.to(start.options().requires_grad(false));
  return out;
}

}  // namespace perturb::transport
