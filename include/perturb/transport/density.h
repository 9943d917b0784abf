// Densities of samples, and how far a flow is from carrying one onto another.
#pragma once

#include <cstdint>

#include "perturb/transport/measure.h"

namespace perturb::transport {

/// The density that normal kernels on `samples` (n, d) have at the points `at` (m, d):
/// mean_j N(at_i; y_j, bandwidth^2 I), (m). Differentiable in both.
Tensor kernel_density(const Tensor& at, const Tensor& samples, double bandwidth);

/// The same at the samples themselves, each without its own kernel: (n), for n > 1. Where a sample
/// is far from all others it may be zero.
Tensor leave_one_out_density(const Tensor& samples, double bandwidth);

/// Square cells over a box in the plane.
struct PlaneGrid {
  double left = -5, right = 5;
  double bottom = -5;
  std::int64_t across = 40;  ///< cells from left to right
  std::int64_t up = 40;      ///< cells from bottom to top, as wide as high
  double side() const { return (right - left) / static_cast<double>(across); }
};

/// The middles of the cells, (up across, 2), row by row from the bottom, each from the left.
Tensor cell_middles(const PlaneGrid& grid);

/// By central differences in the cells that are not at the border, for a flow w at the middles of
/// all cells (up across, 2): div w, (up - 2, across - 2).
Tensor flow_divergence(const Tensor& flow, const PlaneGrid& grid);

/// Integral of |div w - (alpha - beta)| over the cells that are not at the border; `excess` is
/// alpha - beta at the middles of all cells (up across). Zero for a flow that carries alpha onto
/// beta.
double divergence_residual(const Tensor& flow, const Tensor& excess, const PlaneGrid& grid);

}  // namespace perturb::transport
