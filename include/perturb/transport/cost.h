// What it costs to move a unit from x_i to y_j, as matrices.
//
// Mind the half: `half_squares` is what geomloss uses for p = 2, `distance_powers(x, y, 2)` is
// ot.dist(x, y) of POT and twice as much.
#pragma once

#include "perturb/transport/measure.h"

namespace perturb::transport {

/// |x_i - y_j|^p (n, m), Euclidean, p > 0. Differentiable; the gradient at distance 0 is 0.
Tensor distance_powers(const Tensor& x, const Tensor& y, double p = 2);

/// |x_i - y_j|^2 / 2 (n, m). Differentiable.
Tensor half_squares(const Tensor& x, const Tensor& y);

}  // namespace perturb::transport
