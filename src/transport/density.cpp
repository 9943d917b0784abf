#include "perturb/transport/density.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <numbers>
#include <string>
#include <vector>

#include <ATen/ATen.h>

#include "transport/check.h"

namespace perturb::transport {
namespace {

constexpr double kMost = std::numeric_limits<double>::max();
/// Points at which the density is computed at the same time: what is held stays in the cache.
constexpr std::int64_t kAtOnce = 512;

double peak(std::int64_t dimensions, double bandwidth) {
  return std::pow(2 * std::numbers::pi * bandwidth * bandwidth,
                  -0.5 * static_cast<double>(dimensions));
}

/// Sums over samples of exp(-|x - y|^2 / (2 bandwidth^2)), (m).
Tensor kernel_sums(const Tensor& at, const Tensor& samples, double bandwidth) {
  std::vector<Tensor> sums;
  for (std::int64_t begin = 0; begin < at.size(0); begin += kAtOnce) {
    const auto some = at.narrow(0, begin, std::min(kAtOnce, at.size(0) - begin));
    const auto squares = (some.unsqueeze(1) - samples.unsqueeze(0)).square().sum(2);
    sums.push_back((squares * (-0.5 / (bandwidth * bandwidth))).exp().sum(1));
  }
  return at::cat(sums);
}

void check_bandwidth(double bandwidth) {
  check_number("bandwidth", bandwidth, std::numeric_limits<double>::min(), kMost);
}

void check_grid(const PlaneGrid& grid) {
  check_number("grid.left", grid.left, -kMost, kMost);
  check_number("grid.bottom", grid.bottom, -kMost, kMost);
  if (!(grid.right > grid.left) || !std::isfinite(grid.right))
    reject("grid.right", "must be greater than grid.left and finite");
  if (grid.across < 3) reject("grid.across", "must be 3 or more");
  if (grid.up < 3) reject("grid.up", "must be 3 or more");
}

void check_flow(const Tensor& flow, const PlaneGrid& grid) {
  check_tensor("flow", flow, 2);
  if (flow.size(0) != grid.across * grid.up || flow.size(1) != 2)
    reject("flow", "must have a row of two for each of the " +
                       std::to_string(grid.across * grid.up) + " cells");
}

}  // namespace

Tensor kernel_density(const Tensor& at, const Tensor& samples, double bandwidth) {
  check_tensor("at", at, 2);
  check_tensor("samples", samples, 2);
  check_bandwidth(bandwidth);
  if (at.size(1) != samples.size(1))
    reject("at", "has " + std::to_string(at.size(1)) + " coordinates, samples have " +
                     std::to_string(samples.size(1)));
  const auto sums = kernel_sums(at.to(at::kDouble), samples.to(at::kDouble), bandwidth);
  const double scale = peak(at.size(1), bandwidth) / static_cast<double>(samples.size(0));
  return (sums * scale).to(at.scalar_type());
}

Tensor leave_one_out_density(const Tensor& samples, double bandwidth) {
  check_tensor("samples", samples, 2);
  check_bandwidth(bandwidth);
  const auto n = samples.size(0);
  if (n < 2) reject("samples", "must be two or more, for each is left out in turn");
  const auto points = samples.to(at::kDouble);
  const auto sums = (kernel_sums(points, points, bandwidth) - 1).clamp_min(0);
  const double scale = peak(samples.size(1), bandwidth) / static_cast<double>(n - 1);
  return (sums * scale).to(samples.scalar_type());
}

Tensor cell_middles(const PlaneGrid& grid) {
  check_grid(grid);
  const auto middles = [&](double begin, std::int64_t cells) {
    return (at::arange(cells, at::kDouble) + 0.5) * grid.side() + begin;
  };
  const auto y = middles(grid.bottom, grid.up).unsqueeze(1).expand({grid.up, grid.across});
  const auto x = middles(grid.left, grid.across).unsqueeze(0).expand({grid.up, grid.across});
  return at::stack({x, y}, 2).reshape({-1, 2});
}

Tensor flow_divergence(const Tensor& flow, const PlaneGrid& grid) {
  check_grid(grid);
  check_flow(flow, grid);
  const auto w = flow.to(at::kDouble).view({grid.up, grid.across, 2});
  const auto rows = grid.up - 2, columns = grid.across - 2;
  const auto x = w.select(2, 0).narrow(0, 1, rows);
  const auto y = w.select(2, 1).narrow(1, 1, columns);
  const auto change = x.narrow(1, 2, columns) - x.narrow(1, 0, columns) + y.narrow(0, 2, rows) -
                      y.narrow(0, 0, rows);
  return (change / (2 * grid.side())).to(flow.scalar_type());
}

double divergence_residual(const Tensor& flow, const Tensor& excess, const PlaneGrid& grid) {
  const auto divergence = flow_divergence(flow, grid).to(at::kDouble);
  check_tensor("excess", excess, 1);
  if (excess.size(0) != grid.across * grid.up)
    reject("excess", "must have a number for each of the " + std::to_string(grid.across * grid.up) +
                         " cells");
  const auto wanted = excess.to(at::kDouble)
                          .view({grid.up, grid.across})
                          .narrow(0, 1, grid.up - 2)
                          .narrow(1, 1, grid.across - 2);
  return (divergence - wanted).abs().sum().item<double>() * grid.side() * grid.side();
}

}  // namespace perturb::transport
