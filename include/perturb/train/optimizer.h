// Turns gradients into a step of the parameters, over the flat vectors. Keeps nothing of its own
// but hyperparameters: its memory lives in the state, so that the state is all there is to save.
#pragma once

#include <cstddef>

#include "perturb/experiment/condition.h"
#include "perturb/train/flat_state.h"

namespace perturb {

class Optimizer {
 public:
  virtual ~Optimizer() = default;

  /// How many moments it keeps. They start at zero.
  virtual std::size_t moments() const = 0;

  /// Takes its hyperparameters from `optimizer.*`. May come before any step: what changes is
  /// in force from that step on, moments stay.
  virtual void configure(const Condition& condition) = 0;

  /// One step along `state.gradients()`, which it may use up. `factor` scales the learning
  /// rate; `loss`, a scalar, is the batch's at the parameters as they are before the step;
  /// `state.updates()` counts the steps taken before this one.
  virtual void step(FlatState& state, double factor, const Tensor& loss) = 0;
};

}  // namespace perturb
