#include "perturb/report/caution.h"

#include <algorithm>
#include <cmath>
#include <string_view>

#include <fmt/format.h>

#include "perturb/report/table.h"

namespace perturb {

namespace {

/// What a metric is when all is well, and what it means if it is not.
struct Bound {
  std::string_view kind;
  /// Only metrics with this value of a parameter: elsewhere a small value may be right.
  std::string_view parameter, value;
  double least;
  std::string_view meaning;
};

/// The help of each kind says the same (src/catalog; tests/report/caution_test.cpp).
constexpr Bound kBounds[] = {
    // Averages of networks that are not aligned are small by nature; what is generated is not.
    {.kind = "rms-ratio",
     .parameter = "of",
     .value = "generated",
     .least = 0.8,
     .meaning = "generated networks have shrunk toward their mean"},
};

bool is_of(const MetricSpec& metric, const Bound& bound) {
  const auto parameter = metric.parameters.find(std::string(bound.parameter));
  return metric.kind == bound.kind && parameter != metric.parameters.end() &&
         parameter->second == Value(std::string(bound.value));
}

Caution caution(const Results& results, std::size_t metric, const Bound& bound) {
  Caution out{.meaning = std::string(bound.meaning),
              .metric = results.experiment().metrics()[metric].label,
              .least = bound.least};
  const std::vector<MetricHistory>& histories = results.history(metric);
  for (std::size_t number = 0; number < histories.size(); ++number) {
    if (histories[number].empty()) continue;
    ++out.measured;
    const double value = histories[number].back().value;
    if (std::isfinite(value) && value < bound.least) out.values.push_back({number, value});
  }
  std::ranges::stable_sort(out.values, {}, &Caution::Value::value);
  return out;
}

}  // namespace

std::string Caution::text() const {
  const std::string many =
      measured > 1 ? fmt::format(", in {} of {} trials", values.size(), measured) : "";
  return fmt::format("{}: {} {}{:.2f}, under {}{}", meaning, printable(metric),
                     values.size() > 1 ? "down to " : "", values.front().value, least, many);
}

std::vector<Caution> cautions(const Results& results) {
  std::vector<Caution> all;
  const std::vector<MetricSpec>& metrics = results.experiment().metrics();
  for (std::size_t metric = 0; metric < metrics.size(); ++metric) {
    for (const Bound& bound : kBounds) {
      if (!is_of(metrics[metric], bound)) continue;
      Caution found = caution(results, metric, bound);
      if (!found.values.empty()) all.push_back(std::move(found));
    }
  }
  return all;
}

}  // namespace perturb
