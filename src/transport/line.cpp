#include "perturb/transport/line.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>

#include <ATen/ATen.h>

#include "transport/envelope.h"
#include "transport/whole_masses.h"

namespace perturb::transport {
namespace {

/// One side: the points in order, with their masses.
struct Side {
  std::vector<std::size_t> order;
  Doubles points;
  std::vector<std::int64_t> masses;

  explicit Side(const Measure& measure)
      : order(static_cast<std::size_t>(measure.points.size(0))), points(doubles(measure.points)) {
    std::iota(order.begin(), order.end(), std::size_t{0});
    std::stable_sort(order.begin(), order.end(),
                     [&](std::size_t i, std::size_t j) { return points[i] < points[j]; });
    masses = whole_masses(transport::masses(measure));
  }
};

/// Cost and slopes, in the given order of the points.
struct Solution {
  double cost = 0;
  Doubles x, y;  ///< slopes in the points
  Doubles f, g;  ///< slopes in the masses: the dual potentials
};

/// From left to right. The pairs that are met form a staircase, along which f_i + g_j = c_ij
/// determines the potentials; they are feasible everywhere, because |x - y|^p is convex.
Solution solve(const Side& left, const Side& right, double p) {
  const auto n = left.order.size();
  const auto m = right.order.size();
  Solution out{0, Doubles(n), Doubles(m), Doubles(n), Doubles(m)};
  const auto cost = [&](std::size_t i, std::size_t j) {
    const double gap = std::abs(left.points[i] - right.points[j]);
    return p == 1 ? gap : p == 2 ? gap * gap : std::pow(gap, p);
  };
  std::size_t a = 0;
  std::size_t b = 0;
  auto left_over = left.masses[left.order[0]];
  auto right_over = right.masses[right.order[0]];
  out.f[left.order[0]] = cost(left.order[0], right.order[0]);
  while (true) {
    const auto i = left.order[a];
    const auto j = right.order[b];
    const auto moved = std::min(left_over, right_over);
    if (moved > 0) {
      const double gap = left.points[i] - right.points[j];
      out.cost += share(moved) * cost(i, j);
      const double slope =
          gap == 0 ? 0 : std::copysign(p * std::pow(std::abs(gap), p - 1), gap) * share(moved);
      out.x[i] += slope;
      out.y[j] -= slope;
    }
    left_over -= moved;
    right_over -= moved;
    if (a + 1 < n && (left_over == 0 || b + 1 == m)) {
      const auto next = left.order[++a];
      left_over = left.masses[next];
      out.f[next] = cost(next, j) - out.g[j];
    } else if (b + 1 < m) {
      const auto next = right.order[++b];
      right_over = right.masses[next];
      out.g[next] = cost(i, next) - out.f[i];
    } else {
      return out;
    }
  }
}

void check_histograms(const Tensor& p, const Tensor& q) {
  check_tensor("p", p, 1);
  check_weights("p", p, p.size(0));
  check_weights("q", q, p.size(0));
}

}  // namespace

Tensor line_cost(const Measure& alpha, const Measure& beta, double p) {
  check_pair(alpha, beta);
  if (coordinates(alpha) != 1)
    reject("alpha.points", "points on a line have one coordinate; see sliced_distance");
  check_number("p", p, 1, std::numeric_limits<double>::max());
  const auto solution = solve(Side(alpha), Side(beta), p);
  std::vector<Slope> slopes = {{alpha.points, solution.x}, {beta.points, solution.y}};
  if (alpha.weights.defined())
    slopes.push_back({alpha.weights, through_proportions(solution.f, doubles(alpha.weights))});
  if (beta.weights.defined())
    slopes.push_back({beta.weights, through_proportions(solution.g, doubles(beta.weights))});
  return with_slopes(solution.cost, alpha.points, slopes);
}

Tensor line_distance(const Measure& alpha, const Measure& beta, double p) {
  return root(line_cost(alpha, beta, p), p);
}

Tensor histogram_distance(const Tensor& p, const Tensor& q) {
  check_histograms(p, q);
  return (p.cumsum(0) - q.cumsum(0)).abs().sum();
}

Tensor mean_histogram_distance(const Tensor& p, const Tensor& q) {
  return histogram_distance(p, q) / static_cast<double>(p.size(0));
}

}  // namespace perturb::transport
