// Whole sets of examples, a batch at a time.
#pragma once

#include <algorithm>
#include <cstdint>

#include "perturb/train/dataset.h"

namespace perturb {

/// Examples a forward pass of an evaluation: few enough that a layer's output stays in a core's
/// cache, many enough that calls cost nothing.
inline constexpr std::int64_t kEvaluated = 250;

template <class Use>
void each_batch(const ExampleSet& examples, const Use& use) {
  for (std::int64_t begin = 0; begin < examples.size(); begin += kEvaluated)
    use(examples.range(begin, std::min(kEvaluated, examples.size() - begin)));
}

}  // namespace perturb
