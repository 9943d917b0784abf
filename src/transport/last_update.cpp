#include "transport/last_update.h"

#include <algorithm>
#include <cmath>
#include <numbers>

namespace perturb::transport {
namespace {

struct Sums {
  Doubles rows, columns, row_moments, column_moments;
};

Doubles padded(const Doubles& values, double factor, std::int64_t size) {
  Doubles out(static_cast<std::size_t>(size), 0);
  std::transform(values.begin(), values.end(), out.begin(), [&](double v) { return v * factor; });
  return out;
}

Sums moments(const PairCosts<double>& costs, const Clouds& clouds, double epsilon, const Doubles& f,
             const Doubles& g) {
  const double scale = std::numbers::log2e / epsilon;
  const auto scaled_f = padded(f, scale, costs.n);
  const auto scaled_g = padded(g, scale, costs.stride);
  const auto b = padded(clouds.b, 1, costs.stride);
  Sums sums;
  moment_pass({.costs = costs,
               .scale = scale,
               .f = scaled_f.data(),
               .g = scaled_g.data(),
               .a = clouds.a.data(),
               .b = b.data()},
              sums.rows, sums.columns, sums.row_moments, sums.column_moments);
  return sums;
}

bool all_in_range(const Doubles& sums, std::size_t count) {
  return std::all_of(sums.begin(), sums.begin() + static_cast<std::ptrdiff_t>(count),
                     [](double sum) { return sum > 1e-250 && sum < 1e250; });
}

Doubles divided(Doubles moments, const Doubles& sums, std::int64_t dimensions) {
  for (std::size_t k = 0; k < moments.size(); ++k)
    moments[k] /= sums[k / static_cast<std::size_t>(dimensions)];
  return moments;
}

Doubles updated(Doubles potentials, const Doubles& sums, double epsilon) {
  for (std::size_t i = 0; i < potentials.size(); ++i) potentials[i] -= epsilon * std::log(sums[i]);
  return potentials;
}

}  // namespace

LastUpdate last_update(const Clouds& clouds, double epsilon, const Potentials& former,
                       bool with_gradient) {
  LastUpdate out;
  auto& [f, g] = out.potentials;
  if (with_gradient) {
    const auto costs = pair_costs<double>(clouds.ground, clouds.x, clouds.y, clouds.dimensions);
    const auto sums = moments(costs, clouds, epsilon, former.f, former.g);
    if (all_in_range(sums.rows, former.f.size()) && all_in_range(sums.columns, former.g.size())) {
      f = updated(former.f, sums.rows, epsilon);
      g = updated(former.g, sums.columns, epsilon);
      out.x = divided(sums.row_moments, sums.rows, clouds.dimensions);
      out.y = divided(sums.column_moments, sums.columns, clouds.dimensions);
      return out;
    }
  }
  softmin_between(clouds, Precision::Double, 0)->both(epsilon, former.f, former.g, f, g);
  if (with_gradient) {
    // Against its own softmin, each side's sums are one.
    const auto costs = pair_costs<double>(clouds.ground, clouds.x, clouds.y, clouds.dimensions);
    const auto rows = moments(costs, clouds, epsilon, f, former.g);
    const auto columns = moments(costs, clouds, epsilon, former.f, g);
    out.x = divided(rows.row_moments, rows.rows, clouds.dimensions);
    out.y = divided(columns.column_moments, columns.columns, clouds.dimensions);
  }
  return out;
}

}  // namespace perturb::transport
