// Principal components of few points in many dimensions, such as a hundred networks: through the
// n x n matrix of their products, never the d x d one.
#pragma once

#include <cstdint>

#include <ATen/core/Tensor.h>

namespace perturb::weights {

struct Pca {
  at::Tensor mean;       ///< (d)
  at::Tensor basis;      ///< (k, d), orthonormal rows, the largest variance first
  at::Tensor variances;  ///< (k), double, of the coordinates, over n - 1

  /// Coordinates (n, k) of points (n, d).
  at::Tensor project(const at::Tensor& points) const;
  /// Points (n, d) with these coordinates (n, k).
  at::Tensor lift(const at::Tensor& coordinates) const;
};

/// Of `points` (n, d), n >= 2. Centred, n points span n - 1 dimensions: with `components` = n - 1
/// nothing of them is lost. Components without variance are left out. Computed in double precision,
/// kept in the points' own. Throws Error(Usage) for components outside 1 .. n - 1.
Pca pca(const at::Tensor& points, std::int64_t components);

}  // namespace perturb::weights
