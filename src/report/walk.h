// Makes a quantity of one trial from the values of its metric as they come, in step order.
#pragma once

#include <cstdint>
#include <optional>

#include "perturb/report/observe.h"

namespace perturb {

class Walk {
 public:
  /// All three must outlive the walk. `end`: the step at which the trial ends.
  Walk(const Quantity& quantity, const MetricSpec& metric, const At& place, Step end)
      : quantity_(&quantity), metric_(&metric), place_(&place), end_(end) {}

  /// A value; NaN is one. Ignored if the experiment does not ask for it there.
  void add(Step step, double epoch, double value);
  /// What came of it; `control` is left to whoever knows it. What is of the whole run needs every
  /// value that is asked for: of half of them it would be another figure.
  Reading reading() const;

 private:
  void add_value(Step step, double epoch, double value);
  void add_area(double epoch, double value);
  void add_crossing(Step step, double value);
  bool complete() const;

  const Quantity* quantity_;
  const MetricSpec* metric_;
  const At* place_;
  Step end_;
  Reading reading_;
  double first_ = 0;                ///< Auc: the epoch of the first value
  std::optional<double> previous_;  ///< Auc: the value before
  std::int64_t count_ = 0;          ///< of values
  Step last_step_ = -1;             ///< that there was a value at
  double last_epoch_ = 0;
};

}  // namespace perturb
