#include "perturb/experiment/noise_curve.h"

#include <algorithm>
#include <cassert>
#include <optional>
#include <utility>

namespace perturb {

namespace {

/// The label without the strength, if it has one.
std::optional<std::string> name_of(const MetricSpec& metric) {
  const auto strength = metric.parameters.find("strength");
  if (strength == metric.parameters.end() || !strength->second.is_number()) return std::nullopt;
  const std::string said = "@" + display(strength->second);
  const std::size_t at = metric.label.find(said);
  if (at == std::string::npos) return std::nullopt;
  return metric.label.substr(0, at) + metric.label.substr(at + said.size());
}

void add(NoiseCurve& curve, double strength, std::size_t metric) {
  const auto place = std::ranges::lower_bound(curve.strengths, strength);
  // 0 and -0 have labels of their own, and are the same noise.
  if (place != curve.strengths.end() && *place == strength) return;
  curve.metrics.insert(curve.metrics.begin() + (place - curve.strengths.begin()), metric);
  curve.strengths.insert(place, strength);
}

}  // namespace

std::vector<NoiseCurve> noise_curves(const std::vector<MetricSpec>& metrics) {
  std::vector<NoiseCurve> all;
  for (std::size_t i = 0; i < metrics.size(); ++i) {
    const auto name = name_of(metrics[i]);
    if (!name || metrics[i].every.kind == Every::Kind::Never) continue;
    auto curve = std::ranges::find(all, *name, &NoiseCurve::name);
    if (curve == all.end()) curve = all.insert(all.end(), {*name, {}, {}});
    add(*curve, metrics[i].parameters.at("strength").as_float(), i);
  }
  return all;
}

NoiseCurve noise_curve_of(const std::vector<MetricSpec>& metrics, std::size_t metric) {
  for (NoiseCurve& curve : noise_curves(metrics)) {
    if (std::ranges::find(curve.metrics, metric) != curve.metrics.end()) return std::move(curve);
  }
  assert(false && "a metric that is in no noise curve");
  return {};
}

}  // namespace perturb
