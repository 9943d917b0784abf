// Normal noise on weights, in multiples of something that a tensor has of its own.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "perturb/core/random.h"
#include "perturb/train/flat_state.h"

namespace perturb {

/// What a strength of 1 is.
enum class NoiseUnit {
  None,    ///< 1
  Norm,    ///< the root mean square of the tensor's elements
  Std,     ///< their standard deviation, unbiased
  Filter,  ///< the root mean square of each filter's elements by itself
};

/// By what `relative_to` is called in an experiment file: none, norm, std, filter.
NoiseUnit noise_unit(const std::string& relative_to);

/// The standard deviation of noise of strength 1 on p.
double scale(NoiseUnit unit, const Tensor& p);

/// What is moved by itself: the tensor, or each of its filters (Li et al., Visualizing the loss
/// landscape of neural nets, 2018). A vector has none.
std::vector<Tensor> pieces(NoiseUnit unit, const Tensor& tensor);

/// Adds fresh noise to the weights whose names match, from the stream that `random` gives for a
/// name. Not to biases, normalisation layers, class tokens and positions. A standard deviation is
/// taken to be 1e-8 at least: that of a constant tensor is 0.
void add_weight_noise(const FlatState& state, const std::string& layers, double strength,
                      NoiseUnit unit, const std::function<Random(const std::string&)>& random);

}  // namespace perturb
