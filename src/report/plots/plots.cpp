#include "report/plots/plots.h"

#include <map>
#include <set>

#include "perturb/experiment/noise_curve.h"
#include "perturb/report/quantity.h"
#include "report/factors.h"
#include "report/plots/dose.h"

namespace perturb {

std::vector<std::string> doses(const Experiment& experiment, std::size_t least) {
  std::map<std::string, std::set<double>> levels;
  for (std::size_t a = 1; a <= experiment.alternatives(); ++a) {
    for (const auto& [name, value] : factors_of(experiment.trial(0, a))) {
      if (value.is_number()) levels[name].insert(value.as_float());
    }
  }
  std::vector<std::string> all;
  for (const std::string& factor : experiment.factors()) {
    if (!names_field(factor) && !names_seed(factor) && levels[factor].size() >= least)
      all.push_back(factor);
  }
  return all;
}

Registry<Plotter> plotters() {
  Registry<Plotter> all("plot");
  all.add("curves", plot_curves);
  all.add("contrasts", plot_contrasts);
  all.add("heatmap", plot_heatmap);
  all.add("dose-response", plot_dose_response);
  all.add("layers", plot_layers);
  all.add("networks", plot_networks);
  all.add("histogram", plot_histogram);
  all.add("scatter", plot_scatter);
  all.add("grid", plot_grid);
  all.add("robustness", plot_robustness);
  all.add("profile", plot_profile);
  all.add("distributions", plot_distributions);
  all.add("field", plot_field);
  return all;
}

std::vector<PlotSpec> default_plots(const Experiment& experiment) {
  std::vector<PlotSpec> all;
  const auto add = [&](const std::string& kind, std::map<std::string, Value> parameters) {
    all.push_back({kind, std::move(parameters), {}});
  };
  for (const Quantity& quantity : quantities(experiment, {}, {})) {
    add("curves", {{"metric", quantity.label}, {"x", "epoch"}});
    if (experiment.alternatives() == 0) continue;
    add("contrasts", {{"metric", quantity.label}, {"at", "last"}});
    for (const std::string& dose : doses(experiment))
      add("dose-response",
          {{"metric", quantity.label}, {"parameter", dose}, {"difference", false}, {"at", "last"}});
  }
  for (const NoiseCurve& curve : noise_curves(experiment.metrics())) {
    if (curve.strengths.size() > 1) add("robustness", {{"metric", curve.name}, {"at", "last"}});
  }
  return all;
}

}  // namespace perturb
