// Entropic transport among k measures at once, with the cost of meeting in the middle: its plan is
// a joint law of (x_1, ..., x_k), and the law of their mean is the entropic barycenter.
//
// Agueh and Carlier, Barycenters in the Wasserstein space (2011), section 4.
#pragma once

#include <vector>

#include "perturb/transport/measure.h"

namespace perturb::transport {

struct MultiMarginalOptions {
  Tensor weights;         ///< w, (k), undefined: equal
  double epsilon = 0.05;  ///< in the unit of the squared points
  double scaling =
      0.5;  ///< of the temperature, from the range of the costs down; 1 starts at epsilon
  double tolerance = 1e-6;  ///< greatest L1 distance between a marginal of the plan and its measure
  int max_iterations = 5000;
};

struct MultiMarginal {
  Tensor plan;                     ///< (n_1, ..., n_k), double, of mass one
  std::vector<Tensor> potentials;  ///< k times (n_i): plan = prod a_i exp((sum f_i - C) / epsilon)
  Measure barycenter;  ///< sum_i w_i x_i for each entry of the plan (N, d), and its mass
  double cost = 0;     ///< <plan, C>
  Convergence convergence = Convergence::Reached;
  int iterations = 0;
  double error = 0;
};

/// C(x_1, ..., x_k) = sum_i w_i |x_i - sum_j w_j x_j|^2. Holds the product of all sizes a few
/// times: at most 2^24 entries.
MultiMarginal multi_marginal(const std::vector<Measure>& measures,
                             const MultiMarginalOptions& options = {});

}  // namespace perturb::transport
