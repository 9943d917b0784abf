// Random examples, and the check of a gradient that the tests of this module share.
#pragma once

#include <cmath>
#include <functional>
#include <vector>

#include "doctest_torch.h"
#include "perturb/core/random.h"
#include "perturb/transport/measure.h"

namespace perturb::transport {

inline Tensor normal(Random& random, const std::vector<std::int64_t>& shape) {
  auto out = at::empty(shape, at::kFloat);
  random.fill_normal({out.data_ptr<float>(), static_cast<std::size_t>(out.numel())});
  return out.to(at::kDouble);
}

/// Positive, of sum one; every third is zero if asked for.
inline Tensor random_weights(Random& random, std::int64_t n, bool with_zeros = false) {
  auto out = normal(random, {n}).abs() + 0.1;
  for (std::int64_t i = 1; with_zeros && i < n; i += 3) out[i] = 0;
  return out / out.sum();
}

inline Tensor matrix(const std::vector<std::vector<double>>& rows) {
  std::vector<Tensor> tensors;
  for (const auto& row : rows) tensors.push_back(at::tensor(row, at::kDouble));
  return at::stack(tensors);
}

inline double value_of(const Tensor& scalar) { return scalar.item<double>(); }

/// The gradient in `at_point` against central differences, entry by entry. `tolerance` is absolute.
inline void check_gradient(const std::function<Tensor(const Tensor&)>& function,
                           const Tensor& at_point, double tolerance, double step = 1e-5) {
  const auto point = at_point.detach().clone().set_requires_grad(true);
  function(point).backward();
  REQUIRE(point.grad().defined());
  const auto gradient = point.grad().flatten();
  for (std::int64_t k = 0; k < point.numel(); ++k) {
    const auto moved = [&](double by) {
      auto other = at_point.detach().clone();
      other.flatten()[k] += by;
      return value_of(function(other));
    };
    const double difference = (moved(step) - moved(-step)) / (2 * step);
    CHECK_MESSAGE(std::abs(gradient[k].item<double>() - difference) <= tolerance, "entry ", k, ": ",
                  gradient[k].item<double>(), " against ", difference);
  }
}

}  // namespace perturb::transport
