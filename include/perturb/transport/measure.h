// A weighted set of points: what most of this library takes, and how an iterative method ended.
#pragma once

#include <cstdint>

#include <ATen/core/Tensor.h>

namespace perturb::transport {

using at::Tensor;

/// Points with weights. Weights are not negative, may be zero, and count by their proportions: they
/// are divided by their sum, unless a function says that it compares masses.
struct Measure {
  Tensor points;   ///< (n, d), or (n) for points on a line; floating, finite
  Tensor weights;  ///< (n), or undefined: every point the same
};

/// How an iteration ended. Slow convergence is an outcome, not an error.
enum class Convergence {
  Reached,         ///< the error that was asked for
  IterationLimit,  ///< not within the iterations that were allowed; the result is what there is
};

// Computation is double precision on the CPU, in one thread, and the same bits each time; answers
// have the type and device of what was given. Ill-formed input throws Error(Usage) that
// names the argument.

}  // namespace perturb::transport
