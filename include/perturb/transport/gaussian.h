// Transport between normal distributions, in closed form.
//
//     W2^2 = |m1 - m2|^2 + tr(S1 + S2 - 2 (S1^1/2 S2 S1^1/2)^1/2)
//
// Whole squares: twice what half squares give. The second summand is the squared Bures distance.
#pragma once

#include <vector>

#include "perturb/transport/measure.h"

namespace perturb::transport {

struct Gaussian {
  Tensor mean;        ///< (d)
  Tensor covariance;  ///< (d, d), symmetric, no negative eigenvalue
};

/// W2^2, a scalar; differentiable in means and covariances where these are regular.
Tensor gaussian_cost(const Gaussian& alpha, const Gaussian& beta);

/// W2. Where it is zero its gradient counts as zero.
Tensor gaussian_distance(const Gaussian& alpha, const Gaussian& beta);

/// The matrix A of the optimal map x -> m2 + A (x - m1), double; alpha's covariance is regular.
Tensor gaussian_map(const Gaussian& alpha, const Gaussian& beta);

struct GaussianBarycenter {
  Gaussian gaussian;  ///< double
  Convergence convergence = Convergence::Reached;
  int iterations = 0;
};

struct GaussianBarycenterOptions {
  Tensor weights;            ///< (k), undefined: equal
  double tolerance = 1e-12;  ///< greatest change of an entry, relative to the greatest entry
  int max_iterations = 1000;
};

/// The fixed point S = sum_k w_k (S^1/2 S_k S^1/2)^1/2 of Agueh and Carlier, by the iteration of
/// Alvarez-Esteban et al. (2016). At least one covariance is regular.
GaussianBarycenter gaussian_barycenter(const std::vector<Gaussian>& gaussians,
                                       const GaussianBarycenterOptions& options = {});

}  // namespace perturb::transport
