// A task whose model makes points of noise: a generator, or a distribution that is fitted. Whoever
// looks at its samples, or at the critic that it was trained against, needs to know no more.
//
// The model takes rows of standard normal noise, `task.noise` wide, and gives rows as wide as an
// example of the data: any model that maps rows to rows is one.
#pragma once

#include <cstdint>
#include <memory>
#include <vector>

#include "perturb/core/random.h"
#include "perturb/train/task.h"

namespace perturb {

class Generative : public Task {
 public:
  /// Makes the model. A task that carries a critic along adds its buffers to it.
  std::vector<Model*> start(const Ingredients& ingredients) override;

  /// `count` points (count, d) in evaluation mode, without history, of noise from that stream.
  Tensor samples(std::int64_t count, Random& random);

  /// What the critic makes of points (n, d): (n), with history. A task without one that is carried
  /// along (Feature::Critic) throws Error(Bug), here and below.
  virtual Tensor potential(const Tensor& points) const;
  /// Its weights and biases; to be read.
  virtual std::vector<Tensor> critic_weights() const;

 protected:
  Model& model() { return *model_; }
  /// (count, d) with history, of noise from that stream.
  Tensor generated(std::int64_t count, Random& random, Pass& pass);
  /// Coordinates of a point.
  std::int64_t coordinates() const { return coordinates_; }
  /// The gradient of `loss` by the model's parameters is added to theirs, and to nothing else's.
  void backward(const Tensor& loss);

 private:
  std::unique_ptr<Model> model_;
  std::int64_t noise_ = 0;
  std::int64_t coordinates_ = 0;
  c10::Device device_ = at::kCPU;
};

/// The task as one that has samples. Throws Error(Usage) for one that has none.
Generative& generative(Task& task);

}  // namespace perturb
