#include <algorithm>

#include "perturb/experiment/noise_curve.h"
#include "perturb/report/chart.h"
#include "report/plots/level_curve.h"
#include "report/plots/plots.h"

namespace perturb {

Figure plot_robustness(const PlotSpec& spec, const Results& results) {
  const std::string& name = metric_of(spec);
  std::vector<NoiseCurve> curves = noise_curves(results.experiment().metrics());
  const auto curve = std::ranges::find(curves, name, &NoiseCurve::name);
  const std::string title = label_text(name) + " under noise on the weights";
  if (curve == curves.end())
    return nothing({.title = title},
                   "it is not measured under noise; [[metrics]] of kind \"noisy-accuracy\" or "
                   "\"noisy-loss\" with several levels of `strength` do that");
  return level_figure(spec, results,
                      {.name = curve->name,
                       .title = title,
                       .parameter = "strength",
                       .across = "strength of noise on the weights",
                       .decades = true,
                       .levels = curve->strengths,
                       .metrics = curve->metrics});
}

}  // namespace perturb
