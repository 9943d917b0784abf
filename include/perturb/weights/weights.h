// Networks as points of a space: their tensors by name, and all of them as one vector. Knows
// nothing of models, data or experiments.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include <ATen/core/Tensor.h>

namespace perturb::weights {

using at::Tensor;

/// A network's tensors by name ("fc1.weight"), running statistics among them if it has any.
using Weights = std::map<std::string, Tensor, std::less<>>;

/// Names and shapes, in the order in which the tensors lie in a vector.
using Layout = std::vector<std::pair<std::string, std::vector<std::int64_t>>>;

/// Of the vector.
std::int64_t length(const Layout& layout);

/// The tensors of `layout` one after the other, (length). Others are left out. Throws Error(Usage)
/// where one is missing or has another shape.
Tensor flattened(const Weights& network, const Layout& layout);

/// Views of `vector` (length). Throws Error(Usage) for another length.
Weights unflattened(const Tensor& vector, const Layout& layout);

/// (1 - t) a + t b; at t = 0 and 1 the bits of a and b. Throws Error(Usage) unless both have the
/// same tensors, like the next one.
Weights between(const Weights& a, const Weights& b, double t);

/// The mean of the networks, at least one, summed in double precision.
Weights average(std::span<const Weights> networks);

/// How far the loss rises above the straight line between its ends, at most; 0 if it does not. At
/// equally spaced points, both ends among them (Frankle et al., Linear mode connectivity and the
/// lottery ticket hypothesis, 2020).
double barrier(std::span<const double> losses);

}  // namespace perturb::weights
