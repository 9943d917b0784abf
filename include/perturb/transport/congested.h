// Congested transport: what a unit of flow costs grows with the traffic that is there already. Its
// dual is the one-sided gradient penalty of a critic, with sigma the density of the interpolates.
//
//     H(x, i)  = i + (lambda sigma)^(1-p) i^p / p           i >= 0, p > 1
//     H*(x, z) = lambda sigma (z - 1)_+^q / q               1/p + 1/q = 1
//
// p = 2 is i + i^2 / (2 lambda sigma) and lambda sigma / 2 (z - 1)_+^2.
//
// Milne, Bilocq and Nachman, Wasserstein GANs with gradient penalty compute congested transport
// (2022).
#pragma once

#include <cstdint>

#include "perturb/transport/measure.h"

namespace perturb::transport {

struct Congestion {
  double lambda = 10;  ///< the factor of the penalty: the greater, the cheaper is traffic
  double power = 2;    ///< p

  /// What a critic solves whose penalty is coefficient * E (|grad u| - 1)_+^2, as WGAN-GP writes
  /// it: H* has a half, the penalty none.
  static Congestion of_penalty(double coefficient) { return {.lambda = 2 * coefficient}; }
};

/// H at intensities `i` >= 0 and densities `sigma` of the same shape, elementwise; differentiable,
/// like all of the following. Where sigma is zero, so is every intensity of finite cost.
Tensor congestion_cost(const Tensor& i, const Tensor& sigma, const Congestion& congestion = {});
/// H*, with H(i) + H*(z) >= i z.
Tensor congestion_conjugate(const Tensor& z, const Tensor& sigma,
                            const Congestion& congestion = {});
/// H' with respect to i: what one more unit of traffic costs.
Tensor congestion_price(const Tensor& i, const Tensor& sigma, const Congestion& congestion = {});
/// (H*)', for z >= 1 the inverse of H': the intensity at a price; 0 for prices up to 1.
Tensor congestion_intensity(const Tensor& z, const Tensor& sigma,
                            const Congestion& congestion = {});

/// The optimal flow for a potential u with gradients `gradient` (n, d):
/// -lambda sigma (|grad u| - 1)_+^(q-1) grad u / |grad u|, (n, d).
Tensor optimal_traffic(const Tensor& gradient, const Tensor& sigma,
                       const Congestion& congestion = {});

/// The density of (1-t) x + t y, t uniform in (0, 1), x and y independent, as means over `cells`
/// equal cells of [left, right], (cells), double. On a line; what lies outside is left out.
Tensor interpolation_density(const Measure& alpha, const Measure& beta, double left, double right,
                             std::int64_t cells);

/// The congested problem on a line, where the flow is known: what has to pass z is the difference
/// of the masses to its left, w(z) = F_alpha(z) - F_beta(z).
struct CongestedLine {
  double value = 0;      ///< integral of H(z, |w|)
  double transport = 0;  ///< the part of it that is W1
  Tensor flow;           ///< w at the middles of the cells, double
  Tensor density;        ///< sigma in the cells, double: interpolation_density
};

/// By the midpoint rule on `cells` equal cells between the outermost points.
CongestedLine congested_line(const Measure& alpha, const Measure& beta,
                             const Congestion& congestion = {}, std::int64_t cells = 2000);

}  // namespace perturb::transport
