#include "perturb/report/metric_group.h"

namespace perturb {

namespace {

bool are_alike(const MetricSpec& a, const MetricSpec& b) {
  return a.kind == b.kind && a.every.kind == b.every.kind && a.every.n == b.every.n &&
         a.every.steps == b.every.steps;
}

/// Whether two metrics of a kind differ in a number, or in layers.
bool differ_by_grade(const MetricSpec& a, const MetricSpec& b) {
  for (const auto& [name, value] : a.parameters) {
    const auto other = b.parameters.find(name);
    if (other == b.parameters.end() || other->second == value) continue;
    if (!value.is_string() || name == "layers" || name == "layer") return true;
  }
  return false;
}

}  // namespace

std::vector<MetricGroup> metric_groups(const std::vector<MetricSpec>& metrics) {
  std::vector<MetricGroup> groups;
  for (std::size_t i = 0; i < metrics.size(); ++i) {
    const MetricSpec* before = groups.empty() ? nullptr : &metrics[groups.back().first];
    if (before && are_alike(*before, metrics[i])) {
      ++groups.back().count;
      groups.back().graded = groups.back().graded || differ_by_grade(*before, metrics[i]);
    } else {
      groups.push_back({.first = i, .count = 1});
    }
  }
  return groups;
}

}  // namespace perturb
