#include <cmath>

#include <fmt/format.h>

#include "perturb/report/chart.h"
#include "report/figures.h"
#include "report/plots/plots.h"

namespace perturb {

using nlohmann::json;

namespace {

// Columns of the data.
enum : std::size_t { kSeries, kX, kY };

/// Points of series in a plane: of trials here, and of whatever else has two coordinates.
json frame(const Panel& panel, const Table& data, const std::string& x, const std::string& y) {
  json encoding = {{"x", quantity_axis(kX, x)}, {"y", quantity_axis(kY, y)}};
  encoding["x"]["axis"] = {{"tickCount", 6}};
  encoding.update(series_encoding(panel, kSeries, Mark::Point));
  json view = {{"width", 320},
               {"height", 280},
               {"data", inline_data(data)},
               {"mark", {{"type", "point"}, {"filled", true}, {"size", 50}, {"opacity", 0.75}}},
               {"encoding", std::move(encoding)}};
  if (!panel.title.empty()) view["title"] = panel_title(panel.title);
  return view;
}

bool is_value(const Reading& reading) {
  return reading.lack == Reading::Lack::None && std::isfinite(reading.value);
}

}  // namespace

Figure plot_scatter(const PlotSpec& spec, const Results& results) {
  const std::string& across = text_of(spec, "x");
  const std::string& up = text_of(spec, "y");
  const Results::View view = results.view(summary_options(spec, {across, up}));
  const Summary& summary = view.summary;
  // Asked for twice, a metric is there once.
  const std::size_t second = summary.quantities.size() - 1;
  Figure figure{.title = fmt::format("{} against {} {}", label_text(up), label_text(across),
                                     where(summary.quantities.front(), summary.place)),
                .query = values_query(results, summary, Values::Themselves)};
  figure.data.columns = {"panel", "series", "trial", across, up};

  const Panels all = panels(summary);
  std::vector<json> views;
  std::size_t marks = 0;
  std::size_t trials = 0;
  for (const Replicate& replicate : view.replicates) {
    ++trials;
    marks += replicate.standing == Standing::Done && is_value(replicate.readings.front()) &&
                     is_value(replicate.readings[second])
                 ? 1
                 : 0;
  }
  for (const Panel& panel : all.panels) {
    Table points{{"series", "x", "y"}, {}};
    for (const Series& series : panel.series) {
      for (const Replicate& replicate : view.replicates) {
        const Reading& x = replicate.readings.front();
        const Reading& y = replicate.readings[second];
        if (replicate.row != series.row || replicate.standing != Standing::Done) continue;
        if (!is_value(x) || !is_value(y)) continue;
        points.rows.push_back({series.label, x.value, y.value});
        figure.data.rows.push_back({panel.title, series.label,
                                    static_cast<std::int64_t>(replicate.number), x.value, y.value});
      }
    }
    if (!points.rows.empty())
      views.push_back(frame(panel, points, label_text(across), label_text(up)));
  }
  std::string missing;
  for (std::size_t i = 0; i <= second; ++i) {
    const std::string of_metric = left_out(summary, i);
    if (!of_metric.empty())
      missing += fmt::format(" {}: {}", label_text(summary.quantities[i].label), of_metric);
  }
  figure.caption = fmt::format("A mark is a trial that has both values: {} of {}.{}", marks,
                               how_many(trials, "trial"), missing);
  if (views.empty()) return nothing(std::move(figure), "no trial has both values");
  figure.caption += said_left_out(all);
  figure.spec = chart(figure);
  lay_out(figure.spec, std::move(views), 2, Scales::Shared, all);
  return figure;
}

}  // namespace perturb
