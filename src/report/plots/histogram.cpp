#include <algorithm>
#include <cmath>
#include <limits>

#include <fmt/format.h>

#include "perturb/report/chart.h"
#include "report/figures.h"
#include "report/plots/plots.h"

namespace perturb {

using nlohmann::json;

namespace {

// Columns of the data.
enum : std::size_t { kSeries, kFrom, kCount };

struct Bins {
  double first = 0;
  double width = 1;
  std::size_t n = 1;

  std::size_t of(double value) const {
    const double place = std::floor((value - first) / width);
    return static_cast<std::size_t>(std::clamp(place, 0.0, static_cast<double>(n - 1)));
  }
  double edge(std::size_t i) const { return first + width * static_cast<double>(i); }
};

/// 1, 2, 2.5 or 5 times a power of ten, at least `width`.
double round_width(double width) {
  const double power = std::pow(10.0, std::floor(std::log10(width)));
  for (const double factor : {1.0, 2.0, 2.5, 5.0}) {
    if (factor * power >= width * (1 - 1e-9)) return factor * power;
  }
  return 10 * power;
}

/// Freedman & Diaconis' width, On the histogram as a density estimator (1981): 2 IQR / n^(1/3); or
/// `wanted` bins over the whole range.
Bins bins(std::vector<double> values, std::size_t wanted) {
  constexpr double kFewest = 5;
  constexpr double kMost = 60;
  std::ranges::sort(values);
  const double least = values.front();
  const double range = values.back() - least;
  const auto n = static_cast<double>(values.size());
  // Nothing to divide, or no room between the values for edges that differ.
  if (range <= 1e-12 * std::max(std::fabs(least), std::fabs(values.back()))) {
    const double width = least == 0 ? 1 : std::fabs(least) * 0.01;
    return {least - width / 2, width, 1};
  }
  if (!std::isfinite(range)) return {least, std::numeric_limits<double>::max(), 1};
  if (wanted > 0) return {least, range / static_cast<double>(wanted), wanted};
  const auto at = [&](double share) { return values[static_cast<std::size_t>(share * (n - 1))]; };
  const double spread = 2 * (at(0.75) - at(0.25)) / std::cbrt(n);
  const double count = spread > 0 ? std::clamp(range / spread, kFewest, kMost) : kFewest;
  const double width = round_width(range / count);
  const double first = std::floor(least / width) * width;
  return {first, width,
          std::max<std::size_t>(
              1, static_cast<std::size_t>(std::floor((values.back() - first) / width)) + 1)};
}

/// Values of the series' trials that count.
std::vector<double> values_of(const Results::View& view, std::size_t row) {
  std::vector<double> values;
  for (const Replicate& replicate : view.replicates) {
    const Reading& reading = replicate.readings.front();
    if (replicate.row == row && replicate.standing == Standing::Done &&
        reading.lack == Reading::Lack::None && std::isfinite(reading.value))
      values.push_back(reading.value);
  }
  return values;
}

json frame(const Panel& panel, const Table& data, const std::string& metric) {
  json x = quantity_axis(kFrom, metric);
  x["axis"] = {{"grid", false}, {"tickCount", 7}};
  const json y = {{"field", field(kCount)},
                  {"type", "quantitative"},
                  {"title", "trials"},
                  {"axis", {{"tickMinStep", 1}, {"format", "d"}}}};
  const auto encoding = [&](Mark mark) {
    json all = {{"x", x}, {"y", y}};
    all.update(series_encoding(panel, kSeries, mark));
    for (const char* channel : {"color", "strokeDash"}) {
      if (all.contains(channel) && !all[channel]["legend"].is_null())
        all[channel]["legend"].update(
            {{"symbolType", "stroke"}, {"symbolSize", 300}, {"symbolStrokeWidth", 2}});
    }
    return all;
  };
  json area = encoding(Mark::Area);
  area["y"]["stack"] = nullptr;  // beside each other, not on top
  json view = {{"width", 360},
               {"height", 220},
               {"data", inline_data(data)},
               {"layer",
                {{{"mark", {{"type", "area"}, {"interpolate", "step-after"}, {"opacity", 0.14}}},
                  {"encoding", std::move(area)}},
                 {{"mark", {{"type", "line"}, {"interpolate", "step-after"}, {"strokeWidth", 1.8}}},
                  {"encoding", encoding(Mark::Line)}}}}};
  if (!panel.title.empty()) view["title"] = panel_title(panel.title);
  return view;
}

}  // namespace

Figure plot_histogram(const PlotSpec& spec, const Results& results) {
  const Results::View view = results.view(summary_options(spec, {metric_of(spec)}));
  const Summary& summary = view.summary;
  Figure figure{.title = "Distribution of " + title(summary, 0),
                .caption = left_out(summary, 0),
                .query = values_query(results, summary, Values::Themselves)};
  figure.data.columns = {"panel", "series", "from", "to", "trials"};

  std::vector<double> pooled;
  for (std::size_t row = 0; row < summary.rows.size(); ++row) {
    const auto values = values_of(view, row);
    pooled.insert(pooled.end(), values.begin(), values.end());
  }
  if (pooled.empty()) return nothing(std::move(figure), "no trial has a value");
  const Bins edges = bins(pooled, static_cast<std::size_t>(spec.parameters.at("bins").as_int()));

  const Panels all = panels(summary);
  std::vector<json> views;
  std::vector<std::size_t> n;
  for (const Panel& panel : all.panels) {
    Table steps{{"series", "from", "trials"}, {}};
    for (const Series& series : panel.series) {
      const std::vector<double> values = values_of(view, series.row);
      if (values.empty()) continue;
      n.push_back(values.size());
      std::vector<std::int64_t> counts(edges.n);
      for (const double value : values) ++counts[edges.of(value)];
      steps.rows.push_back({series.label, edges.edge(0), std::int64_t{0}});
      for (std::size_t i = 0; i < counts.size(); ++i) {
        steps.rows.push_back({series.label, edges.edge(i), counts[i]});
        if (counts[i] > 0)
          figure.data.rows.push_back(
              {panel.title, series.label, edges.edge(i), edges.edge(i + 1), counts[i]});
      }
      steps.rows.push_back({series.label, edges.edge(edges.n), counts.back()});
      steps.rows.push_back({series.label, edges.edge(edges.n), std::int64_t{0}});
    }
    if (!steps.rows.empty()) views.push_back(frame(panel, steps, label_text(metric_of(spec))));
  }
  const std::string missing = figure.caption;
  figure.caption =
      fmt::format("Height: how many trials ({}{}{}) have a value in each of {} of width {:.3g}.",
                  said_n(n), summary.replicates.empty() ? "" : "; they differ by ",
                  joined(summary.replicates), how_many(edges.n, "bin"), edges.width);
  if (std::ranges::max(n) == 1) figure.caption += " One trial is no distribution.";
  figure.caption += (missing.empty() ? "" : " " + missing) + said_left_out(all);
  figure.spec = chart(figure);
  lay_out(figure.spec, std::move(views), 2, Scales::Shared, all);
  return figure;
}

}  // namespace perturb
