// The learning rate over time, as a factor on optimizer.lr. A function, without memory: what it
// gives at a step does not depend on the steps before.
#pragma once

#include <cstdint>

namespace perturb {

class Schedule {
 public:
  virtual ~Schedule() = default;
  /// For the step before which `step` steps have been taken, in epoch `epoch` (from 0).
  virtual double factor(std::int64_t step, std::int64_t epoch) const = 0;
};

}  // namespace perturb
