// The Sinkhorn divergence between point clouds, a loss: SamplesLoss("sinkhorn", p, blur) of
// geomloss, but iterated until it has converged (their defaults may end 2% low, and their debiased
// value 20%).
//
// Mind the half: with p = 2 the cost is |x-y|^2 / 2, so the divergence tends to W2^2 / 2 as blur
// goes to 0, and `w2` is sqrt(2 S).
//
// Costs are computed block by block in the loop that uses them: 20,000 x 20,000 points need the
// memory of 40,000 points.
//
// Feydy et al., Interpolating between optimal transport and MMD (2019); Sejourne et al., Sinkhorn
// divergences for unbalanced optimal transport (2019).
#pragma once

#include "perturb/transport/measure.h"

namespace perturb::transport {

struct DivergenceOptions {
  int p = 2;             ///< cost |x-y| (1) or |x-y|^2 / 2 (2)
  double blur = 0.05;    ///< in the unit of the points: the temperature is epsilon = blur^p
  double scaling = 0.5;  ///< of the length behind the temperature from step to step; in (0, 1)
  double diameter =
      0;  ///< where the annealing starts; 0: the diagonal of the box around both clouds
  bool debias = true;  ///< without, OT_eps(alpha, beta) itself
  /// Finite: mass may be created and destroyed at a price of about reach^p, weights count as
  /// masses.
  double reach = 0;  ///< in the unit of the points; 0: none is
  /// What the marginals of the plan may miss, as a share of the mass, when the iteration ends.
  double tolerance = 1e-3;
  /// After the annealing, at the last temperature; 0 does what geomloss does, and no more.
  int max_iterations = 2000;
  /// More than four coordinates: up to so many costs are written down, and not computed anew each
  /// time. 4,194,304 of them are 16 MiB in single precision. 0: never.
  std::int64_t matrix_entries = 1 << 22;
};

struct Divergence {
  Tensor value;  ///< a scalar; differentiable once in points and weights
  Tensor
      f;  ///< (n), double: potentials of the pair of clouds, plan a_i b_j exp((f_i+g_j-C_ij)/eps)
  Tensor g;  ///< (m), double
  Convergence convergence = Convergence::Reached;
  int iterations = 0;  ///< after the annealing
  double error = 0;    ///< of the marginals, as in `tolerance`
};

/// <a, f_ba - f_aa> + <b, g_ab - g_bb>: not negative, zero for equal measures. Symmetric
/// updates f <- (f + softmin(eps, C, log b + g / eps)) / 2 on both sides at once while the
/// temperature falls, accelerated alternating ones at the last temperature, one last un-averaged
/// update, whose derivative is the gradient (the envelope theorem).
///
/// Loops in the precision of the points as long as that is enough for `tolerance`; the last
/// update is in double precision.
Divergence sinkhorn_divergence(const Measure& alpha, const Measure& beta,
                               const DivergenceOptions& options = {});

/// sqrt(2 S) for p = 2, which tends to W2 as blur goes to 0. Where it is zero its gradient counts
/// as zero.
Tensor w2(const Measure& alpha, const Measure& beta, const DivergenceOptions& options = {});

/// Where the entropic plan sends each point of alpha on average, (n, d), for p = 2:
/// sum_j P_ij y_j / a_i. Not differentiable; holds no plan.
Tensor entropic_map(const Measure& alpha, const Measure& beta,
                    const DivergenceOptions& options = {});

}  // namespace perturb::transport
