// A number that describes a state. Measuring is not training: a metric reads the state and
// leaves it as it is, whenever and however often it is taken.
#pragma once

#include <map>
#include <string>

#include <ATen/core/Tensor.h>

#include "perturb/train/dataset.h"
#include "perturb/train/flat_state.h"
#include "perturb/train/task.h"

namespace perturb {

/// One state as metrics see it. Lives for one measurement.
class Observation {
 public:
  /// `initial`: the parameters at step 0, after operations at init.
  Observation(const FlatState& state, const Tensor& initial, const Dataset& data, Task& task)
      : state_(state), initial_(initial), data_(data), task_(task) {}

  const FlatState& state() const { return state_; }
  const Tensor& initial() const { return initial_; }
  /// The task's scores on "train" or "test": one pass over the examples, however many metrics
  /// ask for them.
  const Scores& scores(const std::string& part);

 private:
  const FlatState& state_;
  const Tensor& initial_;
  const Dataset& data_;
  Task& task_;
  std::map<std::string, Scores> scores_;
};

class Metric {
 public:
  virtual ~Metric() = default;
  virtual double measure(Observation& observed) = 0;
};

}  // namespace perturb
