// A number whose derivatives were computed beside it, as a tensor that autograd can go through.
//
// Optimal values have simple derivatives (the envelope theorem), while going backwards through the
// iterations that found them is slow and no more exact.
#pragma once

#include <vector>

#include "transport/check.h"

namespace perturb::transport {

struct Slope {
  Tensor argument;
  Doubles slope;  ///< of the value, entry by entry
};

/// Whether a derivative with respect to `argument` will be asked for.
bool wants_gradient(const Tensor& argument);

/// The scalar `value`, of the type and device of `like`. Slopes of arguments that are undefined or
/// want none are ignored. Differentiable once: a second derivative is refused.
Tensor with_slopes(double value, const Tensor& like, const std::vector<Slope>& slopes);

/// The slope in weights that are divided by their sum, from `slope` in the proportions.
Doubles through_proportions(const Doubles& slope, const Doubles& weights);

/// value^(1/p), whose gradient is zero where the value is zero.
Tensor root(const Tensor& value, double p);

}  // namespace perturb::transport
