// A kind of plot: a Vega-Lite specification with its data inside. Here, how far replicates scatter.
#include <perturb/plugin/plugin.h>
#include <perturb/report/chart.h>

using namespace perturb;

Figure plot_spread(const PlotSpec& spec, const Results& results) {
  const Summary summary = results.summary(summary_options(spec, {metric_of(spec)}));
  Figure figure{.title = "Spread of " + title(summary, 0), .caption = left_out(summary, 0)};
  figure.query = values_query(results, summary, Values::Themselves);
  figure.data.columns = {"intervention", "sd"};
  for (const SummaryRow& row : summary.rows) {
    if (const auto sd = row.cells[0].value.sd)
      figure.data.rows.push_back({row_label(summary, row), *sd});
  }
  if (figure.data.rows.empty()) return nothing(std::move(figure), "one trial has no spread");
  figure.spec = chart(figure);
  figure.spec["data"] = inline_data(figure.data);
  figure.spec["mark"] = "bar";
  figure.spec["encoding"] = {{"x", quantity_axis(1, "sd")}, {"y", name_axis(0, "")}};
  return figure;
}

PERTURB_PLUGIN(plugin) {
  const Parameter metric{
      .name = "metric", .type = Type::String, .help = "Its label.", .selects = Selects::Metric};
  plugin.plot({.name = "spread", .help = "Deviations.", .parameters = {metric}}, plot_spread);
}
