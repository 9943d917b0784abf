#include "perturb/report/metric_group.h"

namespace perturb {

namespace {

bool are_alike(const MetricSpec& a, const MetricSpec& b) {
  return a.kind == b.kind && a.every.kind == b.every.kind && a.every.n == b.every.n &&
         a.every.steps == b.every.steps;
}

}  // namespace

std::vector<MetricGroup> metric_groups(const std::vector<MetricSpec>& metrics) {
  std::vector<MetricGroup> groups;
  for (std::size_t i = 0; i < metrics.size(); ++i) {
    const MetricSpec* before = groups.empty() ? nullptr : &metrics[groups.back().first];
    if (before && are_alike(*before, metrics[i])) {
      ++groups.back().count;
    } else {
      groups.push_back({i, 1});
    }
  }
  return groups;
}

}  // namespace perturb
