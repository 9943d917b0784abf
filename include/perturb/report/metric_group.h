// Metrics that are levels of one: of a kind, measured alike, side by side in the file. Of a few
// each is of interest by itself; of hundreds (the coordinates of points, a profile) only the
// picture.
#pragma once

#include <cstddef>
#include <vector>

#include "perturb/experiment/assignment.h"

namespace perturb {

struct MetricGroup {
  std::size_t first = 0;  ///< in Experiment::metrics()
  std::size_t count = 0;
  /// Whether they differ in a number, or in layers. Words tell apart what means different things
  /// (networks that are generated, and those that they are held against), however many there are.
  bool graded = false;

  /// Too many for lists and tables that name each.
  bool is_picture() const { return graded && count > 10; }
};

/// All metrics, in their order.
std::vector<MetricGroup> metric_groups(const std::vector<MetricSpec>& metrics);

}  // namespace perturb
