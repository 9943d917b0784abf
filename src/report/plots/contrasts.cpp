#include <fmt/format.h>

#include "perturb/report/chart.h"
#include "report/figures.h"
#include "report/plots/plots.h"

namespace perturb {

using nlohmann::json;

namespace {

// Columns of the data.
enum : std::size_t { kLevels, kIntervention, kDifference, kLow, kHigh, kPairs };

/// "4", or "3/4" where a pair is incomplete; as `show` has it.
std::string pairs(const SummaryCell& cell) {
  const std::size_t n = cell.against.difference.n;
  return n == cell.pairs ? fmt::format("n = {}", n) : fmt::format("n = {}/{}", n, cell.pairs);
}

std::vector<Cell> line(const Summary& summary, const SummaryRow& row, const Series& series) {
  const SummaryCell& cell = row.cells.front();
  const Sample& difference = cell.against.difference;
  std::vector<Cell> cells = {levels_label(summary, row), series.label, {}, {}, {}, pairs(cell)};
  if (difference.n > 0) cells[kDifference] = difference.mean;
  if (difference.mean_interval) {
    cells[kLow] = difference.mean_interval->low;
    cells[kHigh] = difference.mean_interval->high;
  }
  return cells;
}

json view(const Table& data, const std::string& panel, const std::string& metric) {
  json y = name_axis(kIntervention, "");
  // Said, since what has no difference would otherwise come last.
  bool intervals = false;
  for (const auto& row : data.rows) {
    y["scale"]["domain"].push_back(std::get<std::string>(row[kIntervention]));
    intervals = intervals || !std::holds_alternative<std::monostate>(row[kLow]);
  }
  json x = quantity_axis(kDifference, metric + ", intervention minus control");
  x["axis"] = {{"tickCount", 6}};
  x["scale"] = {{"zero", true}, {"padding", 12}};
  json low = x;
  low["field"] = field(kLow);
  json layers = json::array();
  layers.push_back({{"data", one_row()},
                    {"mark", {{"type", "rule"}, {"style", "zero"}, {"strokeDash", {4, 3}}}},
                    {"encoding", {{"x", {{"datum", 0}}}}}});
  if (intervals)
    layers.push_back({{"mark", {{"type", "rule"}, {"style", "effect"}, {"strokeWidth", 2}}},
                      {"transform", {{{"filter", fmt::format("isValid(datum.{})", field(kLow))}}}},
                      {"encoding", {{"y", y}, {"x", low}, {"x2", {{"field", field(kHigh)}}}}}});
  layers.push_back(
      {{"mark",
        {{"type", "point"}, {"style", "effect"}, {"filled", true}, {"size", 60}, {"opacity", 1}}},
       {"encoding", {{"y", y}, {"x", x}}}});
  // Beyond the frame, where no interval can be.
  layers.push_back(
      {{"mark", {{"type", "text"}, {"align", "left"}, {"dx", 8}, {"fontSize", 11}}},
       {"encoding",
        {{"y", y}, {"x", {{"value", "width"}}}, {"text", {{"field", field(kPairs)}}}}}});
  json view = {{"width", 420},
               {"height", {{"step", 24}}},
               {"data", inline_data(data)},
               {"layer", std::move(layers)}};
  if (!panel.empty()) view["title"] = panel_title(panel);
  return view;
}

std::string caption(const Summary& summary) {
  const Better better = summary.quantities.front().better;
  std::string text =
      "Points: the mean of the paired differences, intervention minus control. Lines: its 95% "
      "interval (Student's t), each by itself; n: pairs";
  bool single = false;
  bool one_control = false;
  for (const SummaryRow& row : summary.rows) {
    single = single || row.cells.front().against.difference.n == 1;
    one_control = one_control || row.cells.front().one_control;
  }
  text += single ? ", with n = 1 there is no interval." : ".";
  if (better != Better::Neither)
    text += better == Better::Higher ? " Higher is better." : " Lower is better.";
  if (one_control) text += " Where all pairs have one control, it holds for that control.";
  return text;
}

}  // namespace

Figure plot_contrasts(const PlotSpec& spec, const Results& results) {
  const Summary& summary = results.summary(summary_options(spec, {metric_of(spec)}));
  Figure figure{.title = title(summary, 0) + ", minus control",
                .caption = left_out(summary, 0),
                .query = values_query(results, summary, Values::Differences)};
  figure.data.columns = {"levels", "intervention", "difference", "low", "high", "pairs"};
  if (results.experiment().alternatives() == 0)
    return nothing(std::move(figure), "there is no intervention to compare with the control");

  bool any = false;
  std::vector<json> views;
  const Panels all = panels(summary, summary.rows.size());
  for (const Panel& panel : all.panels) {
    Table data{figure.data.columns, {}};
    for (const Series& series : panel.series) {
      if (series.control) continue;
      const SummaryRow& row = summary.rows[series.row];
      any = any || row.cells.front().against.difference.n > 0;
      data.rows.push_back(line(summary, row, series));
    }
    views.push_back(view(data, panel.title, label_text(metric_of(spec))));
    figure.data.rows.insert(figure.data.rows.end(), data.rows.begin(), data.rows.end());
  }
  if (!any) {
    figure.data.rows.clear();
    return nothing(std::move(figure), "no pair of an intervention and its control has both values");
  }
  figure.caption =
      caption(summary) + (figure.caption.empty() ? "" : " " + figure.caption) + said_left_out(all);
  figure.spec = chart(figure);
  lay_out(figure.spec, std::move(views), 1, Scales::Own);
  if (figure.spec.contains("concat")) figure.spec["resolve"]["scale"]["x"] = "shared";
  return figure;
}

}  // namespace perturb
