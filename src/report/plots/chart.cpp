#include "perturb/report/chart.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <set>

#include <fmt/format.h>

#include "perturb/report/table.h"
#include "report/figures.h"

namespace perturb {

using nlohmann::json;

namespace {

constexpr const char* kSchema = "https://vega.github.io/schema/vega-lite/v6.json";

/// Solid is the control's.
const json& dashes() {
  static const json all = {{1, 0},        {8, 3}, {2, 2},      {8, 3, 2, 3},
                           {14, 3, 4, 3}, {4, 4}, {1, 3, 6, 3}};
  return all;
}
const json& shapes() {
  static const json all = {"circle",        "square", "triangle-up",   "diamond",
                           "triangle-down", "cross",  "triangle-right"};
  return all;
}

std::string in_quotes(std::string_view text, char quote) {
  std::string all(1, quote);
  for (const char c : text) {
    if (c == '\0') continue;  // no name has one, and SQL ends at it
    if (c == quote) all += quote;
    all += c;
  }
  return all + quote;
}

Series series_of(std::size_t row, std::string_view label, bool control) {
  return {.row = row, .label = label_text(label), .control = control};
}

/// Levels alone: the panels of an experiment without interventions.
std::vector<Panel> level_panels(const Summary& summary, std::size_t most) {
  std::vector<Panel> all;
  const std::size_t rows = summary.rows.size();
  for (std::size_t first = 0; first < rows; first += most) {
    const std::size_t last = std::min(first + most, rows);
    Panel panel;
    if (rows > most) panel.title = fmt::format("{} to {} of {}", first + 1, last, rows);
    for (std::size_t row = first; row < last; ++row) {
      const std::string levels = levels_label(summary, summary.rows[row]);
      panel.series.push_back(series_of(row, levels.empty() ? "control" : levels, rows == 1));
    }
    all.push_back(std::move(panel));
  }
  return all;
}

/// Rows of one control, as far as they go together into panels.
void add_group(const Summary& summary, std::size_t first, std::size_t last, std::size_t most,
               std::vector<Panel>& all) {
  const std::string levels = levels_label(summary, summary.rows[first]);
  const std::size_t interventions = last - first - 1;
  for (std::size_t begin = first + 1; begin < last; begin += most) {
    const std::size_t end = std::min(begin + most, last);
    Panel panel{.title = label_text(levels)};
    if (interventions > most)
      panel.title += fmt::format("{}interventions {} to {} of {}", levels.empty() ? "" : ", ",
                                 begin - first, end - first - 1, interventions);
    panel.series.push_back(series_of(first, "control", true));
    for (std::size_t row = begin; row < end; ++row)
      panel.series.push_back(series_of(row, summary.rows[row].intervention, false));
    all.push_back(std::move(panel));
  }
}

/// "intervention", the factors that tell rows and replicates apart: columns of a view.
std::string columns_of(const Summary& summary) {
  std::string all = "number, intervention";
  for (const auto* factors : {&summary.by, &summary.replicates}) {
    for (const std::string& factor : *factors) all += ", " + in_quotes(factor, '"');
  }
  return all + ", metric";
}

std::string of_these(const Results& results, const Summary& summary) {
  std::set<std::string> labels;
  for (const Quantity& quantity : summary.quantities)
    labels.insert(in_quotes(results.experiment().metrics()[quantity.metric].label, '\''));
  return fmt::format("WHERE experiment = {} AND metric IN ({})",
                     in_quotes(results.experiment().name(), '\''), fmt::join(labels, ", "));
}

}  // namespace

const std::string& text_of(const PlotSpec& spec, const std::string& parameter) {
  return spec.parameters.at(parameter).as_string();
}

bool flag_of(const PlotSpec& spec, const std::string& parameter) {
  return spec.parameters.at(parameter).as_bool();
}

const std::string& metric_of(const PlotSpec& spec) { return text_of(spec, "metric"); }

SummaryOptions summary_options(const PlotSpec& spec, std::vector<std::string> metrics) {
  SummaryOptions options{.metrics = std::move(metrics), .average_over = spec.average_over};
  if (spec.parameters.contains("at")) options.at = at_from(text_of(spec, "at"));
  return options;
}

std::string label_text(std::string_view text, std::size_t width) {
  // Cut before it is made printable, too: nobody should wait for a label of a megabyte.
  return shortened(printable(text.substr(0, 4 * width)), width);
}

std::string levels_label(const Summary& summary, const SummaryRow& row) {
  std::string all;
  for (std::size_t i = 0; i < row.levels.size(); ++i)
    all += fmt::format("{}{} = {}", i > 0 ? ", " : "", summary.by[i], row.levels[i]);
  return all;
}

std::string row_label(const Summary& summary, const SummaryRow& row) {
  const std::string levels = levels_label(summary, row);
  return label_text(levels.empty() ? row.intervention : row.intervention + ", " + levels, 80);
}

std::string how_many(std::size_t n, std::string_view noun) {
  return fmt::format("{} {}{}", n, noun, n == 1 ? "" : "s");
}

std::string said_n(std::span<const std::size_t> all) {
  if (all.empty()) return "n = 0";
  const auto [least, most] = std::ranges::minmax_element(all);
  return *least == *most ? fmt::format("n = {}", *least)
                         : fmt::format("n = {} to {}", *least, *most);
}

std::string left_out(const Summary& summary, std::size_t quantity, std::string_view how) {
  std::size_t trials = 0;
  std::array<std::pair<std::size_t, std::string_view>, 6> lacks = {{{0, "diverged"},
                                                                    {0, "failed"},
                                                                    {0, "not finite"},
                                                                    {0, "never"},
                                                                    {0, "not measured"},
                                                                    {0, "to run"}}};
  for (const SummaryRow& row : summary.rows) {
    const SummaryCell& cell = row.cells[quantity];
    trials += row.trials;
    lacks[0].first += row.diverged;
    lacks[1].first += row.failed;
    lacks[2].first += cell.not_finite;
    lacks[3].first += cell.never;
    lacks[4].first += cell.unmeasured;
    lacks[5].first += row.missing;
  }
  std::string rest;
  for (const auto& [n, what] : lacks) {
    if (n > 0) rest += fmt::format("{}{} {}", rest.empty() ? "" : ", ", n, what);
  }
  return rest.empty() ? "" : fmt::format("{} of {}: {}.", how, how_many(trials, "trial"), rest);
}

void make_unique(std::vector<Series>& series) {
  std::set<std::string> seen;
  for (Series& one : series) {
    const std::string label = one.label;
    for (int n = 2; !seen.insert(one.label).second; ++n)
      one.label = fmt::format("{} ({})", label, n);
  }
}

Panels panels(const Summary& summary, std::size_t most_series) {
  std::vector<Panel> all;
  std::size_t group = 0;
  while (group < summary.rows.size() && (group == 0 || !summary.rows[group].control)) ++group;
  if (group <= 1) {
    all = level_panels(summary, most_series);
  } else {
    for (std::size_t first = 0; first < summary.rows.size(); first += group)
      add_group(summary, first, first + group, most_series, all);
  }
  for (Panel& panel : all) make_unique(panel.series);
  Panels panels;
  if (all.size() > kMostPanels) {
    panels.left_out = all.size() - kMostPanels;
    all.resize(kMostPanels);
  }
  panels.panels = std::move(all);
  return panels;
}

std::string said_left_out(const Panels& panels) {
  if (panels.left_out == 0) return "";
  return fmt::format(
      " {} not drawn: `average_over` names factors that need none of their own, and the table of "
      "results has all.",
      panels.left_out == 1 ? "1 more panel is"
                           : fmt::format("{} more panels are", panels.left_out));
}

std::string field(std::size_t column) { return fmt::format("f{}", column); }

json inline_data(const Table& table) {
  json rows = json::array();
  for (const auto& cells : table.rows) {
    json row = json::object();
    for (std::size_t i = 0; i < cells.size(); ++i) {
      if (const auto* integer = std::get_if<std::int64_t>(&cells[i])) row[field(i)] = *integer;
      if (const auto* text = std::get_if<std::string>(&cells[i])) row[field(i)] = *text;
      const auto* number = std::get_if<double>(&cells[i]);
      if (number && std::isfinite(*number)) row[field(i)] = *number;
    }
    rows.push_back(std::move(row));
  }
  return {{"values", std::move(rows)}};
}

json one_row() { return {{"values", json::array({json::object()})}}; }

std::vector<std::size_t> thinned(std::span<const double> values, std::size_t most) {
  std::vector<std::size_t> kept;
  if (values.size() <= most) {
    for (std::size_t i = 0; i < values.size(); ++i) kept.push_back(i);
    return kept;
  }
  const std::size_t buckets = std::max<std::size_t>(most / 2, 1);
  std::set<std::size_t> all = {0, values.size() - 1};
  for (std::size_t b = 0; b < buckets; ++b) {
    const std::size_t begin = b * values.size() / buckets;
    const std::size_t end = (b + 1) * values.size() / buckets;
    const auto bucket = values.subspan(begin, end - begin);
    const auto [least, greatest] = std::ranges::minmax_element(bucket);
    all.insert(begin + static_cast<std::size_t>(least - bucket.begin()));
    all.insert(begin + static_cast<std::size_t>(greatest - bucket.begin()));
  }
  return {all.begin(), all.end()};
}

json chart(const Figure& figure) {
  return {{"$schema", kSchema},
          {"title", {{"text", label_text(figure.title, 110)}}},
          {"description", figure.title + ". " + figure.caption}};
}

json panel_title(std::string_view text) {
  return {{"text", label_text(text, 64)}, {"fontSize", 12}, {"fontWeight", "normal"}};
}

Figure nothing(Figure figure, std::string_view why) {
  figure.caption = fmt::format("Nothing to draw: {}.{}{}", why, figure.caption.empty() ? "" : " ",
                               figure.caption);
  figure.spec = nullptr;
  return figure;
}

void lay_out(json& chart, std::vector<json> views, std::size_t columns, Scales scales,
             const Panels& panels) {
  if (views.size() == 1 && !views.front().contains("title")) {
    chart.update(views.front());
    return;
  }
  const auto labels = [](const Panel& panel) {
    std::vector<std::string> all;
    for (const Series& series : panel.series) all.push_back(series.label);
    return all;
  };
  const bool same = std::ranges::all_of(panels.panels, [&](const Panel& panel) {
    return labels(panel) == labels(panels.panels.front());
  });
  const char* series = same ? "shared" : "independent";
  const char* axes = scales == Scales::Shared ? "shared" : "independent";
  const json channels = {{"color", series}, {"strokeDash", series}, {"shape", series}};
  chart["concat"] = std::move(views);
  chart["columns"] = columns;
  chart["spacing"] = 28;
  chart["resolve"] = {{"scale", channels}, {"legend", channels}};
  chart["resolve"]["scale"]["x"] = axes;
  chart["resolve"]["scale"]["y"] = axes;
}

json quantity_axis(std::size_t column, std::string_view title) {
  return {{"field", field(column)},
          {"type", "quantitative"},
          {"title", label_text(title)},
          {"scale", {{"zero", false}}}};
}

json name_axis(std::size_t column, std::string_view title) {
  return {{"field", field(column)},
          {"type", "nominal"},
          {"title", title.empty() ? json(nullptr) : json(label_text(title))},
          {"sort", nullptr}};
}

json series_encoding(const Panel& panel, std::size_t column, Mark mark) {
  const bool control = !panel.series.empty() && panel.series.front().control;
  json domain = json::array();
  for (const Series& series : panel.series) domain.push_back(series.label);
  std::size_t widest = 1;
  for (const Series& series : panel.series) widest = std::max(widest, display_width(series.label));
  // A single series needs no legend: title and caption say what it is.
  json legend = nullptr;
  if (panel.series.size() > 1)
    legend = {{"orient", "bottom"},
              {"columns", std::clamp<std::size_t>(52 / widest, 1, 3)},
              {"symbolOpacity", 1},
              // Marks alone; a dash around them could not be read.
              {"symbolStrokeWidth", 0}};
  const auto channel = [&](json range) {
    return json{
        {"field", field(column)}, {"type", "nominal"},
        {"title", nullptr},       {"sort", nullptr},
        {"legend", legend},       {"scale", {{"domain", domain}, {"range", std::move(range)}}}};
  };
  json encoding = {{"color", channel(control ? "category" : "ordinal")}};
  const auto patterns = [&](const json& all) {
    json some = json::array();
    for (std::size_t i = 0; i < panel.series.size(); ++i) some.push_back(all[i % all.size()]);
    return some;
  };
  if (mark == Mark::Line) encoding["strokeDash"] = channel(patterns(dashes()));
  if (mark == Mark::Point) encoding["shape"] = channel(patterns(shapes()));
  return encoding;
}

std::string values_query(const Results& results, const Summary& summary, Values values) {
  const std::string view = values == Values::Differences ? "contrasts" : "results";
  const std::string extra =
      values == Values::Differences ? ", value, control_value, difference" : ", value";
  const std::string where = of_these(results, summary);
  const auto query = [&](const std::string& step, const std::string& rest) {
    return fmt::format("SELECT {}, {}, epoch{} FROM {} {}{}", columns_of(summary), step, extra,
                       view, where, rest);
  };
  const std::string order = " ORDER BY number, metric";
  switch (summary.place.kind) {
    case At::Kind::GivenStep:
      return query("step", fmt::format(" AND step = {}", summary.place.step) + order);
    case At::Kind::GivenEpoch:
      return query("step", fmt::format(" AND epoch = {:.17g}", summary.place.epoch) + order);
    case At::Kind::Best:
      // Beside max and min, SQLite shows the columns of the row where they are.
      return fmt::format(
          "SELECT {}, step, epoch, {}(value) AS value FROM results {} GROUP BY number, metric{}",
          columns_of(summary), summary.quantities.front().better == Better::Lower ? "min" : "max",
          where, order);
    case At::Kind::Last:
      break;
  }
  return query("max(step) AS step",
               fmt::format(" AND number IN (SELECT number FROM trials WHERE experiment = {} AND "
                           "done >= steps) GROUP BY number, metric{}",
                           in_quotes(results.experiment().name(), '\''), order));
}

std::string history_query(const Results& results, const Summary& summary) {
  return fmt::format("SELECT {}, step, epoch, value FROM results {} ORDER BY number, step",
                     columns_of(summary), of_these(results, summary));
}

}  // namespace perturb
