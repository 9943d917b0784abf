// Entropic transport with a matrix of costs: problem, plan and potentials. For the loss between
// point clouds, which never holds a matrix, see divergence.h.
#pragma once

#include "perturb/transport/measure.h"

namespace perturb::transport {

struct SinkhornOptions {
  double epsilon = 0.05;  ///< in the unit of the costs; `reg` of POT, blur^p of geomloss
  /// The temperature starts at the range of the costs and is multiplied by this until it is
  /// epsilon. 1 starts at epsilon.
  double scaling = 0.5;
  double tolerance = 1e-9;  ///< sum_j |column sum of the plan - b_j|
  int max_iterations = 10000;
  /// Where to start: potentials of a similar problem, which replace the annealing. Undefined: none.
  Tensor f;
  Tensor g;
};

/// A plan that need not be optimal, with the potentials that it comes from.
struct Coupling {
  Tensor plan;  ///< (n, m), double: exp((f_i + g_j - C_ij) / epsilon)
  Tensor f;     ///< (n), double; -inf where a is zero
  Tensor g;     ///< (m), double; -inf where b is zero
  Tensor cost;  ///< <plan, C>, a scalar without gradient
  /// <P, C> - epsilon H(P); differentiable in a, b and C, with a slope of -inf in a weight of zero.
  Tensor objective;
  Convergence convergence = Convergence::Reached;
  int iterations = 0;  ///< after the annealing
  double error = 0;    ///< of the marginals, as in `tolerance`
};

/// Minimises <P, C> - epsilon H(P), H(P) = -sum P (log P - 1), over P >= 0 with row sums a and
/// column sums b, by alternating
///     f_i = epsilon log a_i - epsilon log sum_j exp((g_j - C_ij) / epsilon)
/// and its mirror for g, with Anderson's acceleration wherever it raises the dual value.
/// Rows are exact, columns to `error`.
///
/// Peyre & Cuturi, Computational Optimal Transport (2019), section 4.4.
Coupling sinkhorn(const Tensor& a, const Tensor& b, const Tensor& cost,
                  const SinkhornOptions& options = {});

}  // namespace perturb::transport
