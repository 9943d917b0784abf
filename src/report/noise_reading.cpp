#include "report/noise_reading.h"

#include <algorithm>
#include <cassert>
#include <cmath>
#include <limits>
#include <vector>

namespace perturb {

namespace {

constexpr double kNaN = std::numeric_limits<double>::quiet_NaN();

std::optional<double> figure(const Quantity& quantity, std::span<const double> strengths,
                             Better better, std::span<const double> scores) {
  if (quantity.kind == Quantity::Kind::NoiseAuc) return noise_area(strengths, scores);
  return noise_half(strengths, scores, quantity.threshold, better);
}

}  // namespace

double noise_area(std::span<const double> strengths, std::span<const double> scores) {
  assert(strengths.size() == scores.size() && strengths.size() > 1);
  double area = 0;
  for (std::size_t i = 1; i < strengths.size(); ++i)
    area += (strengths[i] - strengths[i - 1]) * (scores[i - 1] + scores[i]) / 2;
  return area / (strengths.back() - strengths.front());
}

std::optional<double> noise_half(std::span<const double> strengths, std::span<const double> scores,
                                 double chance, Better better) {
  assert(strengths.size() == scores.size() && !strengths.empty());
  const double whole = scores.front() - chance;
  const bool gained = better == Better::Higher  ? whole > 0
                      : better == Better::Lower ? whole < 0
                                                : whole != 0;
  if (!gained || !std::isfinite(whole)) return kNaN;
  double before = 1;  // share of the gain that is left
  for (std::size_t i = 1; i < strengths.size(); ++i) {
    const double left = (scores[i] - chance) / whole;
    if (std::isnan(left)) return kNaN;
    if (left <= 0.5)
      return strengths[i - 1] +
             (strengths[i] - strengths[i - 1]) * (before - 0.5) / (before - left);
    before = left;
  }
  return std::nullopt;
}

Reading noise_reading(const Quantity& quantity, std::span<const double> strengths, Better better,
                      std::span<const Reading> parts) {
  std::vector<double> scores;
  std::vector<double> controls;
  for (const Reading& part : parts) {
    if (part.lack != Reading::Lack::None || part.step != parts.front().step) return {};
    scores.push_back(part.value);
    controls.push_back(part.control);
  }
  Reading reading{
      .lack = Reading::Lack::None, .step = parts.front().step, .epoch = parts.front().epoch};
  const auto value = figure(quantity, strengths, better, scores);
  reading.value = value.value_or(kNaN);
  if (!value) reading.lack = Reading::Lack::Never;
  // NaN is a control's value that is not there, and a part of a curve is another figure.
  const bool whole = std::ranges::none_of(controls, [](double x) { return std::isnan(x); });
  if (value && whole)
    reading.control = figure(quantity, strengths, better, controls).value_or(kNaN);
  return reading;
}

}  // namespace perturb
