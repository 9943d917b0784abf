// A deliberate disturbance of training. The session calls each hook of an intervention in every
// step of its windows, or `perturb` once when it acts at init; it overrides those it needs.
//
// Law: it draws from addressed streams alone, so that outside its windows nothing differs from
// a run without it, and at strength 0 nothing differs at all, bit for bit. It remembers nothing from
// step to step: a stage may begin in the middle of a window, and has the state alone.
#pragma once

#include <cstdint>

#include "perturb/train/flat_state.h"
#include "perturb/train/pass.h"

namespace perturb {

class Intervention {
 public:
  virtual ~Intervention() = default;

  /// Before step `step`, or after initialisation (step 0): changes the state for good.
  virtual void perturb(FlatState&, std::int64_t /*step*/) {}

  /// Before the forward pass of the step: may look and interfere at the model's points.
  virtual void watch(Pass&, std::int64_t /*step*/) {}

  /// Between the backward pass and the optimizer: may change the gradients, or put back what
  /// `perturb` took away for this one batch.
  virtual void after_backward(FlatState&, std::int64_t /*step*/) {}
};

}  // namespace perturb
