#include <algorithm>
#include <cmath>
#include <limits>
#include <map>

#include <fmt/format.h>

#include "perturb/report/chart.h"
#include "report/plots/plots.h"

namespace perturb {

using nlohmann::json;

namespace {

// Columns of the data: where an arrow begins and ends.
enum : std::size_t { kX, kY, kToX, kToY };

struct Arrow {
  double x = 0, y = 0;
  std::size_t across = 0;  ///< where the readings of its components are among the quantities
  std::size_t up = 0;
};

/// Places of which both components are measured; `labels` gets what is to be asked for.
std::vector<Arrow> arrows_of(const Experiment& experiment, std::vector<std::string>& labels) {
  std::map<std::pair<double, double>, std::map<std::string, std::string>> all;
  for (const MetricSpec& metric : experiment.metrics()) {
    if (metric.kind != "traffic" || metric.every.kind == Every::Kind::Never) continue;
    const auto& parameters = metric.parameters;
    all[{parameters.at("x").as_float(), parameters.at("y").as_float()}]
       [parameters.at("component").as_string()] = metric.label;
  }
  std::vector<Arrow> arrows;
  for (const auto& [place, components] : all) {
    if (!components.contains("across") || !components.contains("up")) continue;
    arrows.push_back({place.first, place.second, labels.size(), labels.size() + 1});
    labels.push_back(components.at("across"));
    labels.push_back(components.at("up"));
  }
  return arrows;
}

/// The least distance of two places along an axis: no arrow is longer.
double step_of(const std::vector<Arrow>& arrows) {
  double least = std::numeric_limits<double>::infinity();
  for (const Arrow& a : arrows) {
    for (const Arrow& b : arrows) {
      for (const double apart : {std::abs(a.x - b.x), std::abs(a.y - b.y)}) {
        if (apart > 0) least = std::min(least, apart);
      }
    }
  }
  return std::isfinite(least) ? least : 1;
}

json view_of(const Table& data, const std::string& title) {
  json body = {{"x", quantity_axis(kX, "first coordinate")},
               {"y", quantity_axis(kY, "second coordinate")},
               {"x2", {{"field", field(kToX)}}},
               {"y2", {{"field", field(kToY)}}}};
  json head = {{"x", quantity_axis(kToX, "first coordinate")},
               {"y", quantity_axis(kToY, "second coordinate")}};
  json view = {{"width", 280},
               {"height", 280},
               {"data", inline_data(data)},
               {"layer",
                {{{"mark", {{"type", "rule"}, {"style", "ink"}, {"strokeWidth", 1.2}}},
                  {"encoding", std::move(body)}},
                 {{"mark", {{"type", "circle"}, {"style", "ink"}, {"size", 14}, {"opacity", 1}}},
                  {"encoding", std::move(head)}}}}};
  if (!title.empty()) view["title"] = panel_title(title);
  return view;
}

}  // namespace

Figure plot_field(const PlotSpec& spec, const Results& results) {
  std::vector<std::string> labels;
  const auto arrows = arrows_of(results.experiment(), labels);
  Figure figure{.title = "Traffic"};
  if (arrows.empty())
    return nothing(std::move(figure),
                   "no flow is measured; [[metrics]] of kind \"traffic\" with levels of `x` and "
                   "`y`, and component = [\"across\", \"up\"], do that");
  const Summary& summary = results.summary(summary_options(spec, labels));
  figure.title = fmt::format("Traffic {}", where(summary.quantities.front(), summary.place));
  figure.query = values_query(results, summary, Values::Themselves);
  figure.data.columns = {"panel", "x", "y", "across", "up"};

  // One scale for all panels: the longest arrow just reaches the next place.
  double longest = 0;
  const auto flow = [&](const SummaryRow& row, const Arrow& arrow) {
    const Sample& u = row.cells[arrow.across].value;
    const Sample& v = row.cells[arrow.up].value;
    const bool there = u.n > 0 && v.n > 0;
    return std::pair(there ? u.mean : std::nan(""), there ? v.mean : std::nan(""));
  };
  for (const SummaryRow& row : summary.rows) {
    for (const Arrow& arrow : arrows) {
      const auto [u, v] = flow(row, arrow);
      if (std::isfinite(u) && std::isfinite(v)) longest = std::max(longest, std::hypot(u, v));
    }
  }
  const double scale = longest > 0 ? step_of(arrows) / longest : 0;

  std::vector<json> views;
  std::size_t more = 0;
  for (const SummaryRow& row : summary.rows) {
    Table data{{"x", "y", "to_x", "to_y"}, {}};
    const std::string title = row_label(summary, row);
    for (const Arrow& arrow : arrows) {
      const auto [u, v] = flow(row, arrow);
      if (!std::isfinite(u) || !std::isfinite(v)) continue;
      data.rows.push_back({arrow.x, arrow.y, arrow.x + scale * u, arrow.y + scale * v});
      if (views.size() < kMostPanels) figure.data.rows.push_back({title, arrow.x, arrow.y, u, v});
    }
    if (data.rows.empty()) continue;
    if (views.size() < kMostPanels)
      views.push_back(view_of(data, title));
    else
      ++more;
  }
  figure.caption = left_out(summary, 0);
  if (views.empty()) return nothing(std::move(figure), "no trial has a flow");
  figure.caption = fmt::format(
      "A line runs with the mean flow over trials, from a place to the dot; the longest "
      "stands for {:.3g}.{}{}",
      longest, figure.caption.empty() ? "" : " ", figure.caption);
  if (more > 0) figure.caption += fmt::format(" {} more panels are not drawn.", more);
  figure.spec = chart(figure);
  lay_out(figure.spec, std::move(views), 2, Scales::Shared);
  return figure;
}

}  // namespace perturb
