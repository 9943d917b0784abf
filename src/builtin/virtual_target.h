// Points to move toward when no target is given but a few points of several domains: evidence.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include <ATen/core/Tensor.h>

#include "perturb/core/random.h"
#include "perturb/experiment/condition.h"
#include "perturb/train/dataset.h"

namespace perturb {

class VirtualTarget {
 public:
  /// Of all `evidence`, whose classes 0 .. domains - 1 are its domains, as `task.*` says. Throws
  /// Error(Usage) where a domain has no points or weights do not fit.
  VirtualTarget(const Condition& condition, const ExampleSet& evidence, std::int64_t domains);

  /// Shares of the domains, of sum one.
  const std::vector<double>& shares() const { return shares_; }

  /// Fresh points (virtual_samples, d) for that step.
  Tensor draw(Random& random, std::int64_t step) const;

 private:
  Tensor points_;                   ///< what rows are drawn of, (n, d), on the CPU
  std::vector<double> cumulative_;  ///< of the rows' probabilities
  std::vector<double> shares_;
  std::int64_t count_;
  double bandwidth_, broadening_, broadening_steps_;
};

}  // namespace perturb
