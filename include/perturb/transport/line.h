// Exact transport between points on a line, any cost |x - y|^p with p >= 1: both sides in order,
// from left to right. O(n log n).
//
// scipy.stats.wasserstein_distance is line_distance with p = 1; ot.wasserstein_1d of POT
// returns line_cost.
#pragma once

#include "perturb/transport/measure.h"

namespace perturb::transport {

/// W_p^p = integral over t in (0, 1) of |F^-1(t) - G^-1(t)|^p, a scalar.
///
/// Differentiable in points and weights; where the derivative jumps (ties), it is one
/// of the subgradients.
Tensor line_cost(const Measure& alpha, const Measure& beta, double p = 1);

/// W_p. Where it is zero its gradient counts as zero.
Tensor line_distance(const Measure& alpha, const Measure& beta, double p = 1);

/// W_1 between histograms on bins 0, 1, 2, ...: sum_k |CDF_p(k) - CDF_q(k)|.
///
/// Not normalised: mass that p or q lacks counts in every bin behind it. Differentiable.
Tensor histogram_distance(const Tensor& p, const Tensor& q);

/// The same divided by the number of bins n: W_1 with the bins at 0, 1/n, 2/n, ...
Tensor mean_histogram_distance(const Tensor& p, const Tensor& q);

}  // namespace perturb::transport
