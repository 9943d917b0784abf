// How good networks are that nobody trained: generated ones, averages, ones with noise. Each is a
// vector of parameters of a population's kind, scored on the test examples of those that were.
#pragma once

#include <memory>

#include <ATen/core/Tensor.h>

#include "perturb/train/flat_state.h"
#include "perturb/train/population.h"
#include "perturb/train/registries.h"
#include "perturb/train/task.h"

namespace perturb {

class NetworkScores {
 public:
  /// Both must outlive it. Works on the device of the population's data.
  NetworkScores(const Population& population, const Registries& registries);

  struct Score {
    double accuracy = 0;
    Tensor wrong;  ///< bool, (test examples): which of them it gets wrong
  };
  /// With running statistics of its own (b).
  Score score(const Tensor& parameters, const Tensor& buffers);
  /// With running statistics that fit it: the plain averages over one pass over the training
  /// examples in training mode, in batches as the population's. Never of test examples.
  Score recalibrated(const Tensor& parameters) {
    recalibrate(parameters);
    return scored();
  }
  /// The same without a score.
  void recalibrate(const Tensor& parameters);
  /// The network that was scored or recalibrated last.
  const FlatState& state() const { return state_; }

 private:
  Tensor statistics();
  Score scored();

  const Population& population_;
  std::unique_ptr<Task> task_;
  FlatState state_;
};

}  // namespace perturb
