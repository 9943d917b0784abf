// What is learnt: which models there are, the loss of a batch, and how a state is scored.
// Not how parameters are changed (optimizer), nor when (session).
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <string>
#include <vector>

#include <ATen/core/Tensor.h>

#include "perturb/experiment/condition.h"
#include "perturb/train/dataset.h"
#include "perturb/train/model.h"

namespace perturb {

struct Registries;

/// What a task is made from. All of it outlives the task.
struct Ingredients {
  const Condition& condition;
  const Dataset& data;
  const Registries& registries;
};

/// Means over examples by name: "loss", "accuracy".
using Scores = std::map<std::string, double, std::less<>>;

class Task {
 public:
  virtual ~Task() = default;

  /// Makes the models, initialised; their parameters are laid out in this order. Called once,
  /// before anything else; the task owns them.
  virtual std::vector<Model*> start(const Ingredients& ingredients) = 0;

  /// Before each training step: which one it is, and what is in force in it. What the step draws
  /// is addressed by that.
  virtual void enter(std::int64_t, const Condition&) {}

  /// Forward and backward over one batch: adds to the gradients, returns the mean loss, a
  /// scalar without history.
  virtual Tensor step(const Examples& batch, Pass& pass) = 0;

  /// The mean loss of a batch as a function of the parameters, with history, for derivatives. A
  /// task without one (Feature::Loss) throws Error(Bug).
  virtual Tensor loss(const Examples& batch, Pass& pass);

  /// Outputs for a batch of inputs, a row of class scores (logits) an example. A task without
  /// predictions (Feature::Predictions) throws Error(Bug).
  virtual Tensor outputs(const Tensor& inputs, Pass& pass);

  /// Scores of all examples, in evaluation mode. Changes nothing; does not depend on how the
  /// examples are cut into batches by more than rounding.
  virtual Scores evaluate(const ExampleSet& examples) = 0;
};

}  // namespace perturb
