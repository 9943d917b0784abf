#include "report/plots/level_curve.h"

#include <algorithm>
#include <cmath>
#include <utility>

#include <fmt/format.h>

#include "perturb/report/chart.h"
#include "report/figures.h"

namespace perturb {

using nlohmann::json;

namespace {

/// More single trials than this in a frame are a grey area.
constexpr std::size_t kMostLines = 60;

class LevelPlot {
 public:
  LevelPlot(const PlotSpec& spec, const Results& results, LevelCurve curve)
      : results_(results), curve_(std::move(curve)) {
    std::vector<std::string> labels;
    for (const std::size_t metric : curve_.metrics)
      labels.push_back(results.experiment().metrics()[metric].label);
    view_ = results.view(summary_options(spec, std::move(labels)));
    // A scale for 0 and what is spread over decades.
    const auto positive = std::ranges::upper_bound(curve_.levels, 0.0);
    log_ =
        curve_.decades && positive != curve_.levels.end() && curve_.levels.back() >= 10 * *positive;
    if (log_) linear_below_ = *positive;
  }

  Figure figure() {
    const Summary& summary = view_.summary;
    Figure figure{.title = fmt::format("{}, {}", label_text(curve_.title, 80),
                                       where(summary.quantities.front(), summary.place)),
                  .caption = missing(),
                  .query = values_query(results_, summary, Values::Themselves)};
    figure.data.columns = {"panel", "series", curve_.parameter, "n", "mean", "low", "high"};
    const Panels all = panels(summary);
    std::vector<json> views;
    for (const Panel& panel : all.panels) {
      json drawn = view(panel, figure.data);
      if (!drawn.is_null()) views.push_back(std::move(drawn));
    }
    if (views.empty()) return nothing(std::move(figure), "no trial has a value");
    figure.caption =
        caption() + (figure.caption.empty() ? "" : " " + figure.caption) + said_left_out(all);
    figure.spec = chart(figure);
    lay_out(figure.spec, std::move(views), 2, Scales::Shared, all);
    return figure;
  }

 private:
  // Columns of the means' and of the lines' data.
  enum : std::size_t { kSeries, kLevel, kValue, kLow, kHigh };
  enum : std::size_t { kTrial = 3 };

  /// What is not drawn, said once where it is the same for all strengths.
  std::string missing() const {
    std::vector<std::string> all;
    for (std::size_t i = 0; i < curve_.levels.size(); ++i)
      all.push_back(left_out(view_.summary, i));
    if (std::ranges::all_of(all, [&](const auto& text) { return text == all.front(); }))
      return all.front();
    std::string text;
    for (std::size_t i = 0; i < all.size(); ++i) {
      if (!all[i].empty())
        text += fmt::format("{}At {}: {}", text.empty() ? "" : " ", curve_.levels[i], all[i]);
    }
    return text;
  }

  json view(const Panel& panel, Table& data) {
    Table means{{"series", "level", "mean", "low", "high"}, {}};
    for (const Series& series : panel.series) add_means(panel, series, means, data);
    Table lines = single_trials(panel);
    if (means.rows.empty()) return nullptr;
    const bool band = std::ranges::any_of(means.rows, [](const auto& row) {
      return !std::holds_alternative<std::monostate>(row[kLow]);
    });
    json layers = json::array();
    if (!lines.rows.empty()) {
      json encoding = this->encoding(panel, Mark::Area);
      encoding["detail"] = {{"field", field(kTrial)}, {"type", "nominal"}};
      layers.push_back({{"data", inline_data(lines)},
                        {"mark", {{"type", "line"}, {"strokeWidth", 0.8}, {"opacity", 0.4}}},
                        {"encoding", std::move(encoding)}});
    }
    if (band) layers.push_back(band_layer(panel));
    layers.push_back({{"mark", {{"type", "line"}, {"strokeWidth", 2.4}}},
                      {"encoding", encoding(panel, Mark::Line)}});
    layers.push_back({{"mark", {{"type", "point"}, {"filled", true}, {"size", 55}, {"opacity", 1}}},
                      {"encoding", encoding(panel, Mark::Point)}});
    json view = {{"width", 340},
                 {"height", 230},
                 {"data", inline_data(means)},
                 {"layer", std::move(layers)}};
    if (!panel.title.empty()) view["title"] = panel_title(panel.title);
    return view;
  }

  void add_means(const Panel& panel, const Series& series, Table& means, Table& data) {
    const SummaryRow& row = view_.summary.rows[series.row];
    for (std::size_t i = 0; i < curve_.levels.size(); ++i) {
      const Sample& sample = row.cells[i].value;
      if (sample.n == 0) continue;
      n_.push_back(sample.n);
      std::vector<Cell> line = {series.label, curve_.levels[i], sample.mean, {}, {}};
      if (sample.mean_interval) {
        line[kLow] = sample.mean_interval->low;
        line[kHigh] = sample.mean_interval->high;
      }
      data.rows.push_back({panel.title, line[kSeries], line[kLevel],
                           static_cast<std::int64_t>(sample.n), line[kValue], line[kLow],
                           line[kHigh]});
      means.rows.push_back(std::move(line));
    }
  }

  /// A line a trial, where a mean is of several.
  Table single_trials(const Panel& panel) {
    Table lines{{"series", "level", "value", "trial"}, {}};
    std::size_t trials = 0;
    for (const Series& series : panel.series) {
      for (const Replicate& replicate : view_.replicates) {
        const bool alone = view_.summary.rows[series.row].numbers.size() == 1;
        if (replicate.row != series.row || alone || replicate.standing != Standing::Done) continue;
        bool any = false;
        for (std::size_t i = 0; i < curve_.levels.size(); ++i) {
          const double value = replicate.readings[i].value;
          if (!std::isfinite(value)) continue;
          any = true;
          lines.rows.push_back(
              {series.label, curve_.levels[i], value, static_cast<std::int64_t>(replicate.number)});
        }
        trials += any ? 1 : 0;
      }
    }
    if (trials > kMostLines) {
      too_many_ += trials;
      lines.rows.clear();
    } else {
      trials_ += trials;
    }
    return lines;
  }

  json encoding(const Panel& panel, Mark mark) const {
    json x = quantity_axis(kLevel, curve_.across + (log_ ? " (log)" : ""));
    if (log_) x["scale"] = {{"type", "symlog"}, {"constant", linear_below_}};
    constexpr std::size_t kMostTicks = 12;
    x["axis"] = {{"grid", false}, {"format", "~g"}, {"labelOverlap", true}};
    // Those that were measured, where they are few.
    if (curve_.levels.size() <= kMostTicks) x["axis"]["values"] = curve_.levels;
    json all = {{"x", std::move(x)}, {"y", quantity_axis(kValue, curve_.name)}};
    all.update(series_encoding(panel, kSeries, mark));
    return all;
  }

  json band_layer(const Panel& panel) const {
    json encoding = this->encoding(panel, Mark::Area);
    encoding["y"] = quantity_axis(kLow, curve_.name);
    encoding["y2"] = {{"field", field(kHigh)}};
    return {{"transform", {{{"filter", fmt::format("isValid(datum.{})", field(kLow))}}}},
            {"mark", {{"type", "area"}, {"opacity", 0.16}}},
            {"encoding", std::move(encoding)}};
  }

  std::string caption() const {
    const bool single = std::ranges::max(n_) == 1;
    std::string text =
        single ? "Lines: one trial each (n = 1), so that there is no interval."
               : fmt::format(
                     "Thick: the mean over trials ({}{}{}). Band: the 95% interval of that mean "
                     "(Student's t) at each {} by itself.",
                     said_n(n_), view_.summary.replicates.empty() ? "" : "; they differ by ",
                     joined(view_.summary.replicates), curve_.parameter);
    if (!single && std::ranges::min(n_) == 1) text += " Where n = 1 there is no band.";
    if (trials_ > 0) text += " Thin: single trials.";
    if (too_many_ > 0)
      text += fmt::format(" The lines of {} are left out, since they are too many.",
                          how_many(too_many_, "single trial"));
    if (log_)
      text +=
          fmt::format(" Across: {0}s as log(1 + {0} / {1}), so that 0 has a place beside decades.",
                      curve_.parameter, linear_below_);
    if (curve_.levels.size() == 1)
      text += fmt::format(" Measured at one {} alone: a mark, no line.", curve_.parameter);
    return text;
  }

  const Results& results_;
  LevelCurve curve_;
  Results::View view_;
  bool log_ = false;
  double linear_below_ = 0;  ///< the least level above 0
  std::vector<std::size_t> n_;
  std::size_t trials_ = 0;    ///< that have a line of their own
  std::size_t too_many_ = 0;  ///< that have none, since they could not be told apart
};

}  // namespace

Figure level_figure(const PlotSpec& spec, const Results& results, LevelCurve curve) {
  return LevelPlot(spec, results, std::move(curve)).figure();
}

}  // namespace perturb
