// A task with one model that maps inputs to a row of class scores, and a loss for each example.
// Everything but that loss is here; what is learnt otherwise derives from Task itself.
#pragma once

#include <memory>
#include <vector>

#include "perturb/experiment/schema.h"
#include "perturb/train/task.h"

namespace perturb {

class Quick;

class Supervised : public Task {
 public:
  /// What such a task offers: all there is.
  static std::vector<Feature> features();

  std::vector<Model*> start(const Ingredients& ingredients) override;
  Tensor step(const Examples& batch, Pass& pass) override;
  Tensor loss(const Examples& batch, Pass& pass) override;
  Tensor outputs(const Tensor& inputs, Pass& pass) override;
  /// "loss", the mean of `losses`, and "accuracy", how often the highest score is the class's.
  Scores evaluate(const ExampleSet& examples) override;

 protected:
  /// One loss an example, (n), of outputs (n, classes) and targets (n), with history.
  virtual Tensor losses(const Tensor& outputs, const Tensor& targets) = 0;
  /// The mean loss, a scalar with history: the mean of `losses`, or the same computed faster.
  virtual Tensor mean_loss(const Tensor& outputs, const Tensor& targets);
  struct Sloped {
    Tensor loss;    ///< as mean_loss gives it, without history
    Tensor slopes;  ///< its gradient with respect to the outputs, to the bit
  };
  /// By LibTorch's graph, unless a task knows a shorter way.
  virtual Sloped sloped(const Tensor& outputs, const Tensor& targets);

 private:
  std::unique_ptr<Model> model_;
  Quick* quick_ = nullptr;  ///< the model, if it can be trained without history
};

}  // namespace perturb
