#include "cli/meters.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <limits>
#include <vector>

namespace perturb {

namespace {

/// The means of neighbours, so that there are at most `most`. NaN where one is not finite.
std::vector<double> thinned(std::span<const double> values, std::size_t most) {
  const std::size_t n = std::min(values.size(), most);
  std::vector<double> means(n, 0);
  for (std::size_t i = 0; i < n; ++i) {
    const std::size_t begin = i * values.size() / n;
    const std::size_t end = (i + 1) * values.size() / n;
    for (std::size_t at = begin; at < end; ++at)
      means[i] += values[at] / static_cast<double>(end - begin);
    if (!std::isfinite(means[i])) means[i] = std::nan("");
  }
  return means;
}

}  // namespace

std::string bar(double share, std::size_t width) {
  // A share that is no number is none.
  const double full = share > 0 ? std::min(share, 1.0) * static_cast<double>(width) : 0;
  std::string text;
  for (std::size_t i = 0; i < width; ++i) text += i < static_cast<std::size_t>(full) ? "█" : "░";
  return text;
}

std::string sparkline(std::span<const double> values, std::size_t width) {
  constexpr std::array kHeights = {"▁", "▂", "▃", "▄", "▅", "▆", "▇", "█"};
  const std::vector<double> means = thinned(values, width);
  double low = std::numeric_limits<double>::infinity();
  double high = -low;
  for (const double mean : means) {
    if (std::isnan(mean)) continue;
    low = std::min(low, mean);
    high = std::max(high, mean);
  }
  std::string text;
  for (const double mean : means) {
    if (std::isnan(mean)) {
      text += "×";
      continue;
    }
    // Halves, so that the range of all doubles does not overflow.
    const double place = high > low ? (mean / 2 - low / 2) / (high / 2 - low / 2) : 0;
    text += kHeights[static_cast<std::size_t>(std::lround(place * (kHeights.size() - 1)))];
  }
  return text;
}

}  // namespace perturb
