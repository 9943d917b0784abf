// The sliced distance: exact transport on lines, averaged over directions.
#pragma once

#include <cstdint>

#include "perturb/transport/measure.h"

namespace perturb::transport {

struct SlicedOptions {
  double p = 2;  ///< at least 1
  int directions = 128;
  std::uint64_t seed = 0;  ///< the same seed and dimension give the same directions (core/random.h)
};

/// (directions, d), double, of length one, uniform on the sphere.
Tensor random_directions(std::int64_t dimensions, const SlicedOptions& options = {});

/// (mean over directions of W_p^p of the projections)^(1/p), a scalar;
/// ot.sliced_wasserstein_distance. Differentiable in points and weights; where it is zero its
/// gradient counts as zero.
Tensor sliced_distance(const Measure& alpha, const Measure& beta,
                       const SlicedOptions& options = {});

}  // namespace perturb::transport
