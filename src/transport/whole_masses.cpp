#include "transport/whole_masses.h"

#include <algorithm>
#include <cmath>
#include <numeric>

namespace perturb::transport {

std::vector<std::int64_t> whole_masses(const Doubles& weights) {
  // Wider than a double where the machine has that: what a rounded sum is off by would all go to
  // one entry.
  const auto total = std::accumulate(weights.begin(), weights.end(), 0.0L);
  std::vector<std::int64_t> whole(weights.size());
  std::transform(weights.begin(), weights.end(), whole.begin(),
                 [&](double weight) { return std::llround(weight / total * 0x1p60L); });
  const auto sum = std::accumulate(whole.begin(), whole.end(), std::int64_t{0});
  *std::max_element(whole.begin(), whole.end()) += kWhole - sum;
  return whole;
}

}  // namespace perturb::transport
