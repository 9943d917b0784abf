// The built-in plotters, one a file.
#pragma once

#include "perturb/report/plot.h"

namespace perturb {

Figure plot_curves(const PlotSpec& spec, const Results& results);
Figure plot_contrasts(const PlotSpec& spec, const Results& results);
Figure plot_heatmap(const PlotSpec& spec, const Results& results);
Figure plot_dose_response(const PlotSpec& spec, const Results& results);
Figure plot_layers(const PlotSpec& spec, const Results& results);
Figure plot_networks(const PlotSpec& spec, const Results& results);
Figure plot_histogram(const PlotSpec& spec, const Results& results);
Figure plot_robustness(const PlotSpec& spec, const Results& results);
Figure plot_scatter(const PlotSpec& spec, const Results& results);
Figure plot_profile(const PlotSpec& spec, const Results& results);
Figure plot_distributions(const PlotSpec& spec, const Results& results);
Figure plot_field(const PlotSpec& spec, const Results& results);
Figure plot_grid(const PlotSpec& spec, const Results& results);

}  // namespace perturb
