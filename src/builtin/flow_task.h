// The task of carrying noise to data along straight paths (flow matching), over trained networks or
// any vectors. What it learns from is the data set's business: aligned or not, all parameters or
// principal components.
//
// Lipman et al., Flow matching for generative modeling (2023); over networks: DeepWeightFlow
// (2026).
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "perturb/train/registries.h"
#include "perturb/train/task.h"
#include "perturb/weights/flow_matching.h"

namespace perturb {

class FlowMatching final : public Task {
 public:
  explicit FlowMatching(const Condition& condition);

  std::vector<Model*> start(const Ingredients& ingredients) override;
  void enter(std::int64_t step, const Condition& condition) override;
  Tensor step(const Examples& batch, Pass& pass) override;
  /// In evaluation, noise and times are step 0's.
  Tensor loss(const Examples& batch, Pass& pass) override;
  /// "loss", at equally spaced times of each example's path.
  Scores evaluate(const ExampleSet& examples) override;

  struct Generation {
    std::int64_t first = 0;  ///< number of the first one
    std::int64_t count = 100;
    std::string sampler = "euler";  ///< or midpoint, rk4, adaptive
    std::int64_t steps = 100;       ///< not of adaptive
  };
  /// Points (count, width) at the ends of paths that begin in noise from seeds.sample; point i does
  /// not depend on how many there are by more than rounding. Along the averaged field, if there is
  /// an average.
  Tensor generate(const Generation& how);

  const Dataset& data() const { return *data_; }
  const Registries& registries() const { return *registries_; }

 private:
  /// Moves the average one step after the parameters.
  void follow();
  /// Of `examples`, by their numbers: the same for the whole training.
  Tensor fixed_source(const Tensor& numbers) const;
  Tensor velocities(const Tensor& points, const Tensor& times, Pass& pass);

  weights::Times times_;
  bool optimal_transport_;
  bool fixed_noise_;
  double sigma_;
  double source_std_;
  double ema_;
  std::uint64_t sample_seed_;  ///< of the whole run: what is scored depends on the state alone
  std::uint64_t step_ = 0;
  std::uint64_t noise_seed_ = 0;

  std::unique_ptr<Model> model_;
  Tensor average_;  ///< of the parameters, flat: a buffer of the model; undefined without one
  const Dataset* data_ = nullptr;
  const Registries* registries_ = nullptr;
};

}  // namespace perturb
