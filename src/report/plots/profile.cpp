#include <algorithm>
#include <map>
#include <set>

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "perturb/core/name_pattern.h"
#include "perturb/report/chart.h"
#include "report/plots/level_curve.h"
#include "report/plots/plots.h"

namespace perturb {
namespace {

/// Names of the parameters that these metrics do not have in common.
std::vector<std::string> differing(const std::vector<MetricSpec>& metrics,
                                   const std::vector<std::size_t>& chosen) {
  std::map<std::string, std::set<std::string>> values;
  for (const std::size_t metric : chosen) {
    for (const auto& [name, value] : metrics[metric].parameters)
      values[name].insert(canonical(value));
  }
  std::vector<std::string> names;
  for (const auto& [name, levels] : values) {
    if (levels.size() > 1) names.push_back(name);
  }
  return names;
}

}  // namespace

Figure plot_profile(const PlotSpec& spec, const Results& results) {
  const auto& metrics = results.experiment().metrics();
  const std::string& pattern = metric_of(spec);
  std::vector<std::size_t> chosen;
  for (std::size_t i = 0; i < metrics.size(); ++i) {
    if (metrics[i].every.kind != Every::Kind::Never && matches(pattern, metrics[i].label))
      chosen.push_back(i);
  }
  Figure figure{.title = label_text(pattern, 80)};
  const bool one_kind = std::ranges::all_of(
      chosen, [&](std::size_t i) { return metrics[i].kind == metrics[chosen.front()].kind; });
  if (!one_kind) return nothing(std::move(figure), "metrics of several kinds match it");
  const auto names = differing(metrics, chosen);
  if (names.size() != 1)
    return nothing(std::move(figure),
                   names.empty() ? "one metric alone matches it: levels of one of its numbers make "
                                   "a profile"
                                 : fmt::format("what matches differs in {}: a profile is over one "
                                               "number",
                                               fmt::join(names, ", ")));
  const std::string& name = names.front();
  std::map<double, std::size_t> levels;
  for (const std::size_t i : chosen) {
    const Value& level = metrics[i].parameters.at(name);
    if (!level.is_number()) return nothing(std::move(figure), name + " is no number");
    levels.emplace(level.as_float(), i);
  }
  LevelCurve curve{.name = metrics[chosen.front()].kind,
                   .title = fmt::format("{} over {}", metrics[chosen.front()].kind, name),
                   .parameter = name,
                   .across = name};
  for (const auto& [level, metric] : levels) {
    curve.levels.push_back(level);
    curve.metrics.push_back(metric);
  }
  return level_figure(spec, results, std::move(curve));
}

}  // namespace perturb
