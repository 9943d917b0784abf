// Random tensors from an addressed stream (core/random.h). Drawn on the CPU and then moved, so
// that every device sees the same numbers.
#pragma once

#include <vector>

#include <ATen/core/Tensor.h>

#include "perturb/core/random.h"

namespace perturb {

/// Float32 on the CPU.
at::Tensor draw_uniform(Random& random, const std::vector<std::int64_t>& shape);
at::Tensor draw_normal(Random& random, const std::vector<std::int64_t>& shape);
/// An order of 0 .. n-1, int64 on the CPU.
at::Tensor draw_order(Random& random, std::int64_t n);

}  // namespace perturb
