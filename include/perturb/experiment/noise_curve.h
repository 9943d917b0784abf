// A score under noise on the weights, as a function of the noise's strength: metrics of one kind
// that differ in `strength` and in nothing else. Each of them is a metric like any other; a curve
// is only a way to look at several.
#pragma once

#include <cstddef>
#include <string>
#include <vector>

#include "perturb/experiment/assignment.h"

namespace perturb {

struct NoiseCurve {
  std::string name;  ///< their label without the strength: "test.accuracy" of "test.accuracy@0.1"
  std::vector<double> strengths;     ///< ascending, no two the same
  std::vector<std::size_t> metrics;  ///< one a strength: its place among the metrics
};

/// In the order in which they begin among `metrics`. What is never measured is in none.
std::vector<NoiseCurve> noise_curves(const std::vector<MetricSpec>& metrics);
/// The one that the metric at this place is in; it must be in one.
NoiseCurve noise_curve_of(const std::vector<MetricSpec>& metrics, std::size_t metric);

}  // namespace perturb
