#include <fmt/format.h>

#include "report/plots/curve.h"
#include "report/plots/plots.h"

namespace perturb {

Figure plot_curves(const PlotSpec& spec, const Results& results) {
  const Summary& summary = results.summary(summary_options(spec, {metric_of(spec)}));
  const bool epochs = text_of(spec, "x") == "epoch";
  Figure figure{
      .title = fmt::format("{} over {}", label_text(metric_of(spec)), epochs ? "epochs" : "steps"),
      .query = history_query(results, summary)};
  figure.data.columns = curve_columns(epochs);

  const Panels all = panels(summary);
  CurveNotes notes;
  std::vector<nlohmann::json> views;
  for (const Panel& panel : all.panels) {
    const CurveOptions options{.epochs = epochs, .y_title = metric_of(spec)};
    auto view = curve_view(results, summary, 0, panel, options, figure.data, notes);
    if (!view.is_null()) views.push_back(std::move(view));
  }
  const std::string missing = left_out(summary, 0, "In no mean, out");
  if (views.empty()) {
    figure.caption = missing;
    return nothing(std::move(figure), "no trial has a value");
  }
  figure.caption = curve_caption(summary, notes, epochs) + (missing.empty() ? "" : " " + missing) +
                   said_left_out(all);
  figure.spec = chart(figure);
  lay_out(figure.spec, std::move(views), 2, Scales::Shared, all);
  return figure;
}

}  // namespace perturb
