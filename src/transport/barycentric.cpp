#include "perturb/transport/barycentric.h"

#include <limits>

#include <ATen/ATen.h>
#include <fmt/format.h>

#include "perturb/transport/cost.h"
#include "transport/check.h"

namespace perturb::transport {

Tensor barycentric_map(const Tensor& plan, const Tensor& y) {
  check_tensor("plan", plan, 2);
  check_tensor("y", y, 2);
  if (plan.size(1) != y.size(0)) {
    reject("plan", fmt::format("it has {} columns for {} points of y", plan.size(1), y.size(0)));
  }
  const auto moved = plan.to(y.options());
  return moved.mm(y) / moved.sum(1, /*keepdim=*/true);
}

Tensor soft_nearest(const Tensor& x, const Tensor& y, double epsilon) {
  check_tensor("x", x, 2);
  check_tensor("y", y, 2);
  check_number("epsilon", epsilon, std::numeric_limits<double>::min(),
               std::numeric_limits<double>::max());
  return at::softmax(-half_squares(x, y) / epsilon, 1).mm(y);
}

}  // namespace perturb::transport
