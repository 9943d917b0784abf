#include <fmt/format.h>

#include "report/figures.h"
#include "report/plots/curve.h"
#include "report/plots/plots.h"

namespace perturb {

using nlohmann::json;

namespace {

/// Keeps the place of a cell that has nothing to show.
json empty_view(const CurveOptions& options) {
  return {{"width", options.width},
          {"height", options.height},
          {"data", {{"values", {{{"f0", "no value"}}}}}},
          {"mark", {{"type", "text"}}},
          {"encoding", {{"text", {{"field", "f0"}, {"type", "nominal"}}}}}};
}

}  // namespace

Figure plot_grid(const PlotSpec& spec, const Results& results) {
  std::vector<std::string> labels;
  for (const Value& label : spec.parameters.at("metrics").as_list())
    labels.push_back(label.as_string());
  const Summary& summary = results.summary(summary_options(spec, labels));
  const bool epochs = text_of(spec, "x") == "epoch";
  const std::size_t columns = summary.quantities.size();
  const std::string& name = results.experiment().name();
  Figure figure{.title = fmt::format("{}{}metrics over {}", label_text(name),
                                     name.empty() ? "" : ": ", epochs ? "epochs" : "steps"),
                .query = history_query(results, summary)};
  figure.data.columns = curve_columns(epochs);
  figure.data.columns.insert(figure.data.columns.begin(), "metric");

  CurveNotes notes;
  std::vector<json> views;
  bool any = false;
  const Panels all = panels(summary);
  for (const Panel& panel : all.panels) {
    for (std::size_t metric = 0; metric < columns; ++metric) {
      const std::string label = label_text(summary.quantities[metric].label);
      const CurveOptions options{.epochs = epochs, .width = 260, .height = 170, .y_title = label};
      Table data;
      Panel frame = panel;
      if (metric > 0) frame.title.clear();  // once a row
      json view = curve_view(results, summary, metric, frame, options, data, notes);
      any = any || !view.is_null();
      views.push_back(view.is_null() ? empty_view(options) : std::move(view));
      for (auto& row : data.rows) {
        row.front() = panel.title;
        row.insert(row.begin(), label);
        figure.data.rows.push_back(std::move(row));
      }
    }
  }
  std::string missing;
  for (std::size_t i = 0; i < columns; ++i) {
    const std::string of_metric = left_out(summary, i, "In no mean, out");
    if (!of_metric.empty())
      missing += fmt::format(" {}: {}", label_text(summary.quantities[i].label), of_metric);
  }
  if (!any) {
    figure.caption = missing.empty() ? "" : missing.substr(1);
    return nothing(std::move(figure), "no trial has a value");
  }
  figure.caption = curve_caption(summary, notes, epochs) + missing + said_left_out(all);
  figure.spec = chart(figure);
  lay_out(figure.spec, std::move(views), columns, Scales::Own, all);
  return figure;
}

}  // namespace perturb
