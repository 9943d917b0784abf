// Pictures of results. A plotter turns what the store knows into a Vega-Lite specification with
// its data inside, together with what somebody needs who cannot see it: a caption, the figures as
// a table, and the query that gives them. Drawing pixels is others' business.
//
// Laws: a plot says what the table says (report/results.h), with intervals that we computed. What
// is not drawn is counted in the caption. Names are literal text wherever they come to stand: they
// reach a specification as values and titles, never as fields or expressions (report/chart.h).
#pragma once

#include <functional>
#include <string>
#include <vector>

#include <nlohmann/json.hpp>

#include "perturb/core/registry.h"
#include "perturb/experiment/experiment.h"
#include "perturb/report/results.h"
#include "perturb/store/store.h"

namespace perturb {

struct Figure {
  std::string title;
  /// How to read it: what lines, bands and marks are, n, and what was left out.
  std::string caption;
  /// Vega-Lite 6 without a config; null where there is nothing to draw, and the caption says why.
  nlohmann::json spec;
  /// SQL over the views of the store that gives the values behind it.
  std::string query;
  /// The figures that are drawn: the alternative in text. Without single trials' lines.
  Table data;
};

/// Throws Error(Usage) for what only the results show to be wrong. All of it is in one thread.
///
/// One more kind of plot is a description in a schema (Family::Plot) and a function:
///
///     Figure plot_spread(const PlotSpec& spec, const Results& results) {
///       const Summary summary = results.summary(summary_options(spec, {metric_of(spec)}));
///       Figure figure{.title = "Spread of " + title(summary, 0),
///                     .caption = "Standard deviation over trials. " + left_out(summary, 0),
///                     .query = values_query(results, summary, Values::Themselves)};
///       figure.data.columns = {"intervention", "sd"};
///       for (const SummaryRow& row : summary.rows) {
///         if (const auto sd = row.cells[0].value.sd)
///           figure.data.rows.push_back({row_label(summary, row), *sd});
///       }
///       if (figure.data.rows.empty()) return nothing(std::move(figure), "no sd with n = 1");
///       figure.spec = chart(figure);
///       figure.spec["data"] = inline_data(figure.data);
///       figure.spec["mark"] = "bar";
///       figure.spec["encoding"] = {{"x", quantity_axis(1, "sd")}, {"y", name_axis(0, "")}};
///       return figure;
///     }
using Plotter = std::function<Figure(const PlotSpec&, const Results&)>;

/// Everything that is built in, under the names of the catalog.
Registry<Plotter> plotters();

/// What is drawn of an experiment that asks for no plots: curves and contrasts of what `show`
/// shows, dose-response where an intervention has a numeric dose, and robustness of what is
/// measured under noise.
std::vector<PlotSpec> default_plots(const Experiment& experiment);

/// The `config` of a specification, for a light or a dark page. All colours come from it; whoever
/// draws sets it, and may set another.
///
/// Series take theirs from the named range "category", of which the first is the control's and
/// stands for ink: black, or white on a dark page. Series without a control among them use
/// "ordinal", which is the rest. Areas of colour use "heatmap" (viridis), those of differences
/// "diverging". Marks outside of any series have one of the styles "ink", "effect" and "zero".
nlohmann::json plot_config(bool dark);

}  // namespace perturb
