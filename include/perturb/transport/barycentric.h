// Where a plan sends points on average.
#pragma once

#include "perturb/transport/measure.h"

namespace perturb::transport {

/// T(x_i) = sum_j P_ij y_j / sum_j P_ij, (n, d). A row without mass has no image: NaN.
Tensor barycentric_map(const Tensor& plan, const Tensor& y);

/// sum_j softmax_j(-|x_i - y_j|^2 / (2 epsilon)) y_j, (n, d): each point on its own to what is near
/// it. Not a plan: nothing makes the points share y among them. Differentiable.
Tensor soft_nearest(const Tensor& x, const Tensor& y, double epsilon);

}  // namespace perturb::transport
