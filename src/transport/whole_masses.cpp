#include "transport/whole_masses.h"

#include <algorithm>
#include <cmath>
#include <numeric>

namespace perturb::transport {

std::vector<std::int64_t> whole_masses(const Doubles& weights) {
  const double total = std::accumulate(weights.begin(), weights.end(), 0.0);
  std::vector<std::int64_t> whole(weights.size());
  std::transform(weights.begin(), weights.end(), whole.begin(),
                 [&](double weight) { return std::llround(weight / total * 0x1p60); });
  const auto sum = std::accumulate(whole.begin(), whole.end(), std::int64_t{0});
  *std::max_element(whole.begin(), whole.end()) += kWhole - sum;
  return whole;
}

}  // namespace perturb::transport
