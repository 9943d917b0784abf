#include <array>
#include <cmath>
#include <map>
#include <set>

#include <fmt/format.h>

#include "perturb/report/chart.h"
#include "report/plots/plots.h"

namespace perturb {

using nlohmann::json;

namespace {

// Columns of the data.
enum : std::size_t { kSource, kX, kY };

/// What points are of, in the order in which they are drawn, and what the legend calls it.
constexpr std::array<std::pair<const char*, const char*>, 4> kSources = {{
    {"train", "training examples"},
    {"test", "examples"},
    {"init", "at step 0"},
    {"model", "samples"},
}};

/// Where the readings of a point's two coordinates are among the quantities.
struct Point {
  std::size_t source = 0;  ///< in kSources
  std::size_t x = 0;
  std::size_t y = 0;
};

/// Those of which coordinates 0 and 1 are measured; `labels` gets what is to be asked for.
std::vector<Point> points_of(const Experiment& experiment, std::vector<std::string>& labels) {
  std::map<std::pair<std::string, std::int64_t>, std::map<std::int64_t, std::string>> all;
  for (const MetricSpec& metric : experiment.metrics()) {
    if (metric.kind != "point" || metric.every.kind == Every::Kind::Never) continue;
    const auto& parameters = metric.parameters;
    all[{parameters.at("of").as_string(), parameters.at("index").as_int()}]
       [parameters.at("coordinate").as_int()] = metric.label;
  }
  std::vector<Point> points;
  for (std::size_t source = 0; source < kSources.size(); ++source) {
    for (const auto& [key, coordinates] : all) {
      if (key.first != kSources[source].first) continue;
      if (!coordinates.contains(0) || !coordinates.contains(1)) continue;
      points.push_back({source, labels.size(), labels.size() + 1});
      labels.push_back(coordinates.at(0));
      labels.push_back(coordinates.at(1));
    }
  }
  return points;
}

bool is_value(const Reading& reading) {
  return reading.lack == Reading::Lack::None && std::isfinite(reading.value);
}

json view_of(const Table& data, const std::set<std::size_t>& sources, const std::string& title) {
  json names = json::array(), shapes = json::array(), sizes = json::array();
  constexpr std::array kShapes = {"square", "cross", "triangle-up", "circle"};
  for (const std::size_t source : sources) {
    names.push_back(kSources[source].second);
    shapes.push_back(kShapes[source]);
  }
  const auto channel = [&](json scale) {
    scale["domain"] = names;
    return json{{"field", field(kSource)},
                {"type", "nominal"},
                {"title", nullptr},
                {"sort", nullptr},
                {"legend", {{"orient", "bottom"}}},
                {"scale", std::move(scale)}};
  };
  json view = {{"width", 280},
               {"height", 280},
               {"data", inline_data(data)},
               {"mark", {{"type", "point"}, {"filled", true}, {"size", 24}, {"opacity", 0.6}}},
               {"encoding",
                {{"x", quantity_axis(kX, "first coordinate")},
                 {"y", quantity_axis(kY, "second coordinate")},
                 {"color", channel({{"range", "ordinal"}})},
                 {"shape", channel({{"range", shapes}})}}}};
  if (!title.empty()) view["title"] = panel_title(title);
  return view;
}

}  // namespace

Figure plot_distributions(const PlotSpec& spec, const Results& results) {
  std::vector<std::string> labels;
  const auto points = points_of(results.experiment(), labels);
  Figure figure{.title = "Samples"};
  if (points.empty())
    return nothing(std::move(figure),
                   "no points are measured; [[metrics]] of kind \"point\" with levels of `index`, "
                   "and coordinate = [0, 1], do that");
  const Results::View view = results.view(summary_options(spec, labels));
  const Summary& summary = view.summary;
  figure.title = fmt::format("Samples {}", where(summary.quantities.front(), summary.place));
  figure.query = values_query(results, summary, Values::Themselves);
  figure.data.columns = {"panel", "source", "x", "y"};

  std::vector<json> views;
  std::size_t more = 0;
  for (std::size_t row = 0; row < summary.rows.size(); ++row) {
    const Replicate* shown = nullptr;
    for (const Replicate& replicate : view.replicates) {
      if (replicate.row == row && replicate.standing == Standing::Done && !shown)
        shown = &replicate;
    }
    if (!shown) continue;
    if (views.size() == kMostPanels) {
      ++more;
      continue;
    }
    const std::string title = row_label(summary, summary.rows[row]);
    Table data{{"source", "x", "y"}, {}};
    std::set<std::size_t> sources;
    for (const Point& point : points) {
      const Reading& x = shown->readings[point.x];
      const Reading& y = shown->readings[point.y];
      if (!is_value(x) || !is_value(y)) continue;
      sources.insert(point.source);
      data.rows.push_back({kSources[point.source].second, x.value, y.value});
      figure.data.rows.push_back({title, kSources[point.source].second, x.value, y.value});
    }
    if (!data.rows.empty()) views.push_back(view_of(data, sources, title));
  }
  figure.caption = left_out(summary, 0);
  if (views.empty()) return nothing(std::move(figure), "no trial has points");
  figure.caption = "A mark is a point. Of several trials of a kind the first is shown." +
                   (figure.caption.empty() ? "" : " " + figure.caption);
  if (more > 0) figure.caption += fmt::format(" {} more panels are not drawn.", more);
  figure.spec = chart(figure);
  lay_out(figure.spec, std::move(views), 2, Scales::Shared);
  return figure;
}

}  // namespace perturb
