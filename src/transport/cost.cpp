#include "perturb/transport/cost.h"

#include <limits>

#include <ATen/ATen.h>
#include <fmt/format.h>

#include "transport/check.h"

namespace perturb::transport {
namespace {

/// Squared distances (n, m), by differences: the expansion |x|^2 - 2 <x, y> + |y|^2 cancels where
/// points are near, which is where it matters.
Tensor squares(const Tensor& x, const Tensor& y) {
  check_tensor("x", x, x.defined() && x.dim() == 1 ? 1 : 2);
  check_tensor("y", y, y.defined() && y.dim() == 1 ? 1 : 2);
  const auto left = x.dim() == 1 ? x.unsqueeze(1) : x;
  const auto right = y.dim() == 1 ? y.unsqueeze(1) : y;
  if (left.size(1) != right.size(1)) {
    reject("y", fmt::format("its points have {} coordinates, those of x have {}", right.size(1),
                            left.size(1)));
  }
  Tensor sum;
  // Coordinate by coordinate: (n, m) is held, (n, m, d) is not.
  for (std::int64_t k = 0; k < left.size(1); ++k) {
    const auto difference = left.select(1, k).unsqueeze(1) - right.select(1, k).unsqueeze(0);
    const auto square = difference * difference;
    sum = k == 0 ? square : sum + square;
  }
  return sum;
}

}  // namespace

Tensor distance_powers(const Tensor& x, const Tensor& y, double p) {
  check_number("p", p, std::numeric_limits<double>::min(), std::numeric_limits<double>::max());
  const auto square = squares(x, y);
  if (p == 2) return square;
  // The power of a zero has an infinite derivative, and zero times infinity is no gradient.
  const auto apart = square > 0;
  return at::where(apart, at::where(apart, square, at::ones_like(square)).pow(p / 2),
                   at::zeros_like(square));
}

Tensor half_squares(const Tensor& x, const Tensor& y) { return squares(x, y) / 2; }

}  // namespace perturb::transport
