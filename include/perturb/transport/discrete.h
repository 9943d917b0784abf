// Exact transport between two weighted sets with any matrix of costs, with a proof of optimality:
// the dual potentials.
//
// The network simplex method on the complete bipartite graph. Its own, not LEMON's: LEMON compares
// sums of floating-point flows exactly and starts from artificial arcs whose cost swallows
// digits of the duals; here flows are whole multiples of 2^-60, so that degeneracy is exact, and
// the start is a plan.
//
// ot.emd2 of POT, with the duals of ot.emd(..., log=True).
#pragma once

#include "perturb/transport/measure.h"

namespace perturb::transport {

struct DiscreteTransport {
  Tensor cost;  ///< <plan, C>, a scalar; differentiable in a, b and C
  Tensor plan;  ///< (n, m), double; at most n + m - 1 entries are not zero
  Tensor f;     ///< (n), double: f_i + g_j <= C_ij, with equality wherever the plan is positive
  Tensor g;     ///< (m), double: <a, f> + <b, g> = <plan, C>
};

/// Minimises <P, C> over P >= 0 with row sums a and column sums b. Costs are finite, of any sign.
/// n x m costs are held once more; some 1,000 x 1,000 take a second.
DiscreteTransport discrete_transport(const Tensor& a, const Tensor& b, const Tensor& cost);

}  // namespace perturb::transport
