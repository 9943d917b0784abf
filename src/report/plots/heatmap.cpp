#include <algorithm>
#include <map>

#include <fmt/format.h>

#include "perturb/report/chart.h"
#include "report/factors.h"
#include "report/figures.h"
#include "report/plots/cells.h"
#include "report/plots/plots.h"

namespace perturb {

using nlohmann::json;

namespace {

/// A summary's row as a cell: every row with both factors is one.
struct Spot {
  const SummaryRow* row;
  std::string panel;
  Value x;
  Value y;
};

/// The summary's rows of the two factors, beside all others that are not averaged over.
SummaryOptions options_of(const PlotSpec& spec, const Experiment& experiment) {
  SummaryOptions options = summary_options(spec, {metric_of(spec)});
  std::vector<std::string> by;
  for (const std::string& factor : experiment.factors()) {
    const bool axis = factor == text_of(spec, "x") || factor == text_of(spec, "y");
    if (axis || (names_field(factor) && !names_seed(factor))) by.push_back(factor);
  }
  // Of interventions, seeds alone are asked for: other parameters have rows anyway.
  std::erase_if(by, [](const auto& factor) { return !names_field(factor) && !names_seed(factor); });
  options.by = std::move(by);
  std::erase_if(options.average_over, [&](const auto& factor) {
    return factor == text_of(spec, "x") || factor == text_of(spec, "y");
  });
  return options;
}

std::vector<Spot> spots(const PlotSpec& spec, const Results& results, const Summary& summary) {
  const std::string& x = text_of(spec, "x");
  const std::string& y = text_of(spec, "y");
  const Experiment& experiment = results.experiment();
  std::vector<std::string> unsaid = spec.average_over;
  unsaid.insert(unsaid.end(), {x, y});
  std::vector<Spot> all;
  for (const SummaryRow& row : summary.rows) {
    if (row.control && flag_of(spec, "difference")) continue;
    const auto across = results.level(row, x);
    const auto up = results.level(row, y);
    if (!across || !up) continue;
    const std::size_t alternative = row.numbers.front() % (1 + experiment.alternatives());
    std::string panel =
        experiment.alternatives() == 0 ? "" : experiment.group(alternative, unsaid, false);
    for (std::size_t i = 0; i < row.levels.size(); ++i) {
      if (summary.by[i] != x && summary.by[i] != y)
        panel += fmt::format("{}{} = {}", panel.empty() ? "" : ", ", summary.by[i], row.levels[i]);
    }
    all.push_back({&row, std::move(panel), *across, *up});
  }
  return all;
}

/// Levels in order: numbers by size, others as they appear.
std::vector<Value> ordered(const std::vector<Spot>& spots, Value Spot::* axis) {
  std::vector<Value> levels;
  for (const Spot& spot : spots) {
    if (std::ranges::find(levels, spot.*axis) == levels.end()) levels.push_back(spot.*axis);
  }
  if (std::ranges::all_of(levels, &Value::is_number))
    std::ranges::sort(levels, {}, &Value::as_float);
  return levels;
}

std::vector<std::string> names_of(const Experiment& experiment, const std::vector<Value>& levels) {
  std::vector<std::string> names;
  for (const Value& level : levels) {
    // What comes of a product has seventeen digits, of which nobody reads the last ones.
    std::string name = level.is_float() ? fmt::format("{:.6g}", level.as_float())
                                        : label_text(experiment.shown(level), 24);
    if (std::ranges::find(names, name) != names.end())
      name += fmt::format(" ({})", names.size() + 1);
    names.push_back(std::move(name));
  }
  return names;
}

std::size_t index_of(const std::vector<Value>& levels, const Value& level) {
  return static_cast<std::size_t>(std::ranges::find(levels, level) - levels.begin());
}

}  // namespace

Figure plot_heatmap(const PlotSpec& spec, const Results& results) {
  const Summary& summary = results.summary(options_of(spec, results.experiment()));
  const bool difference = flag_of(spec, "difference");
  Figure figure{.title = title(summary, 0) + (difference ? ", minus control" : ""),
                .caption = left_out(summary, 0),
                .query = values_query(results, summary,
                                      difference ? Values::Differences : Values::Themselves)};
  figure.data.columns = {"panel", text_of(spec, "x"), text_of(spec, "y"),
                         difference ? "difference" : "mean", "n"};
  const std::vector<Spot> all = spots(spec, results, summary);
  if (all.empty())
    return nothing(std::move(figure),
                   fmt::format("no trial has both {} and {}", label_text(text_of(spec, "x")),
                               label_text(text_of(spec, "y"))));
  const std::vector<Value> across = ordered(all, &Spot::x);
  std::vector<Value> down = ordered(all, &Spot::y);
  std::ranges::reverse(down);  // upwards, as axes go

  const Figures figures(summary, 0);
  std::vector<CellGrid> grids;
  std::map<std::string, std::size_t> known;
  std::vector<std::size_t> n;
  for (const Spot& spot : all) {
    const SummaryCell& cell = spot.row->cells.front();
    const Sample& sample = difference ? cell.against.difference : cell.value;
    if (sample.n == 0) continue;
    const auto [entry, is_new] = known.try_emplace(spot.panel, grids.size());
    if (is_new)
      grids.push_back({.title = spot.panel,
                       .x_title = text_of(spec, "x"),
                       .y_title = text_of(spec, "y"),
                       .across = names_of(results.experiment(), across),
                       .down = names_of(results.experiment(), down)});
    grids[entry->second].cells.push_back(
        {index_of(across, spot.x), index_of(down, spot.y), sample.mean,
         difference ? figures.difference(sample.mean) : figures.number(sample.mean)});
    n.push_back(sample.n);
    figure.data.rows.push_back({spot.panel, display(spot.x), display(spot.y), sample.mean,
                                static_cast<std::int64_t>(sample.n)});
  }
  if (grids.empty()) return nothing(std::move(figure), "no trial has a value");

  Panels drawn;
  if (grids.size() > kMostPanels) {
    drawn.left_out = grids.size() - kMostPanels;
    grids.resize(kMostPanels);
  }
  // Where nothing is left to be told apart.
  const std::string& only = grids.front().title;
  if (grids.size() == 1 && (only == "control" || only == "set")) grids.front().title.clear();
  const auto range = color_range(grids, difference);
  std::vector<json> views;
  for (const CellGrid& grid : grids) views.push_back(cell_view(grid, range, difference));
  const std::string missing = figure.caption;
  figure.caption = fmt::format(
      "Cells: {} over trials ({}{}{}). An empty cell has no value.",
      difference ? "the mean of the paired differences from the control" : "the mean", said_n(n),
      summary.replicates.empty() ? "" : "; they differ by ", joined(summary.replicates));
  figure.caption += (missing.empty() ? "" : " " + missing) + said_left_out(drawn);
  figure.spec = chart(figure);
  lay_out(figure.spec, std::move(views), 2, Scales::Own);
  if (figure.spec.contains("concat")) {
    figure.spec["resolve"] = {{"scale", {{"color", "shared"}}}};
  }
  return figure;
}

}  // namespace perturb
