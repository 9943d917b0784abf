// The last, un-averaged update of both potentials of a pair of clouds, in double precision, and its
// derivative: the one through which the gradient of a divergence flows.
#pragma once

#include "transport/scaling.h"

namespace perturb::transport {

struct LastUpdate {
  Potentials potentials;  ///< not damped
  /// sum_j p_ij grad_x C(x_i, y_j), where p_ij is the plan's row i divided by its sum; and the
  /// mirror.
  Doubles x, y;
};

LastUpdate last_update(const Clouds& clouds, double epsilon, const Potentials& former,
                       bool with_gradient);

}  // namespace perturb::transport
