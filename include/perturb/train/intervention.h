// A deliberate disturbance of training. The session calls each hook of an intervention in every
// step of its windows, or `perturb` once when it acts at init; it overrides those it needs.
// Several in one step are called in the order of the file, each seeing what those before it did.
//
// Law: it draws from addressed streams alone, so that outside its windows nothing differs from
// a run without it, and at strength 0 nothing differs at all, bit for bit. It remembers nothing
// from step to step: a stage may begin in the middle of a window, and has the state alone.
#pragma once

#include <cstdint>

#include "perturb/experiment/calendar.h"
#include "perturb/train/dataset.h"
#include "perturb/train/flat_state.h"
#include "perturb/train/pass.h"

namespace perturb {

/// What an intervention may know of where it acts. Lives for one step.
struct Instant {
  std::int64_t step = 0;  ///< about to be taken; 0 at init
  const Dataset& data;
  const Tensor& initial;  ///< the trial's parameters at step 0
  /// The state that it is to be drawn toward, if it has one.
  const Snapshot* reference = nullptr;
};

/// The examples that a step is about to see.
struct Drawn {
  Tensor numbers;       ///< int64 (batch), of training examples; may be replaced by as many others
  const Tensor& order;  ///< int64 (training examples), of the epoch
  Batch place;          ///< of `numbers` in `order`
};

class Intervention {
 public:
  virtual ~Intervention() = default;

  /// Before the step's examples are gathered: may choose others.
  virtual void choose(Drawn&, const Instant&) {}

  /// The examples of `drawn`, gathered: a copy that may be changed.
  virtual void alter(Examples&, const Drawn&, const Instant&) {}

  /// Before the step, or after initialisation: changes the state for good.
  virtual void perturb(FlatState&, const Instant&) {}

  /// After `perturb` of all: changes the parameters for the passes over this one batch.
  virtual void disturb(FlatState&, const Instant&) {}

  /// Before the forward pass of the step: may look and interfere at the model's points.
  virtual void watch(Pass&, const Instant&) {}

  /// Right after the backward pass, the last intervention first: puts back what `disturb` changed.
  virtual void restore(FlatState&, const Instant&) {}

  /// Between the backward pass and the optimizer: may change the gradients.
  virtual void after_backward(FlatState&, const Instant&) {}

  /// After the optimizer: keeps up what should hold in every state of the window.
  virtual void after_step(FlatState&, const Instant&) {}
};

}  // namespace perturb
