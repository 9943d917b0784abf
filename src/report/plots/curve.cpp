#include "report/plots/curve.h"

#include <algorithm>
#include <cmath>
#include <map>

#include <fmt/format.h>

#include "perturb/report/statistics.h"
#include "report/figures.h"

namespace perturb {

using nlohmann::json;

namespace {

/// More lines than this in a frame are a grey area.
constexpr std::size_t kMostLines = 60;
/// Of all thin lines of a frame together.
constexpr std::size_t kMostLinePoints = 20'000;
/// Marks on a mean, by which series are told apart without colour.
constexpr std::size_t kMarks = 8;

/// A mean over trials, state by state.
struct Mean {
  std::vector<double> x;
  std::vector<Sample> samples;
};

class CurveView {
 public:
  CurveView(const Results& results, const Summary& summary, std::size_t quantity,
            const Panel& panel, const CurveOptions& options, Table& data, CurveNotes& notes)
      : results_(results),
        summary_(summary),
        panel_(panel),
        options_(options),
        histories_(results.history(summary.quantities[quantity].metric)),
        data_(data),
        notes_(notes) {}

  json view() {
    count_lines();
    for (std::size_t i = 0; i < panel_.series.size(); ++i) add(i);
    if (means_.rows.empty() && lines_.rows.empty()) return nullptr;
    json layers = json::array();
    if (!lines_.rows.empty()) layers.push_back(line_layer());
    if (!means_.rows.empty()) {
      if (has_band_) layers.push_back(band_layer());
      layers.push_back(mean_layer());
      layers.push_back(mark_layer());
    }
    json view = {{"width", options_.width}, {"height", options_.height}, {"layer", layers}};
    if (!panel_.title.empty()) view["title"] = panel_title(panel_.title);
    return view;
  }

 private:
  // Columns of the means' and of the lines' data.
  enum : std::size_t { kSeries, kX, kValue, kLow, kHigh, kMark };
  enum : std::size_t { kTrial = 3 };

  double x_of(const MetricPoint& point) const {
    return options_.epochs ? point.epoch : static_cast<double>(point.step);
  }

  void count_lines() {
    std::size_t lines = 0;
    std::size_t points = 0;
    for (const Series& series : panel_.series) {
      for (const std::size_t number : summary_.rows[series.row].numbers) {
        const std::size_t size = histories_[number].size();
        lines += size > 0 ? 1 : 0;
        points += size;
      }
    }
    draw_lines_ = lines <= kMostLines && points <= kMostLinePoints;
    if (!draw_lines_) notes_.too_many += lines;
  }

  void add(std::size_t series) {
    std::map<double, std::vector<double>> values;
    const std::vector<std::size_t>& numbers = summary_.rows[panel_.series[series].row].numbers;
    std::size_t n = 0;
    for (const std::size_t number : numbers) {
      const MetricHistory& history = histories_[number];
      if (history.empty()) continue;
      // Of one trial the mean is the line.
      const bool done = results_.standing(number) == Standing::Done;
      if (draw_lines_ && (numbers.size() > 1 || !done)) add_line(series, number);
      // One that ended early would drop out of the mean, which would then jump.
      if (!done) continue;
      ++n;
      for (const MetricPoint& point : history) {
        if (std::isfinite(point.value))
          values[x_of(point)].push_back(point.value);
        else
          ++notes_.not_finite;
      }
    }
    if (n > 0) notes_.n.push_back(n);
    add_mean(series, mean_of(values));
  }

  Mean mean_of(const std::map<double, std::vector<double>>& values) {
    Mean mean;
    for (const auto& [x, all] : values) {
      mean.x.push_back(x);
      whole_ = whole_ && x == std::floor(x);
      mean.samples.push_back(describe(all));
    }
    return mean;
  }

  void add_mean(std::size_t series, const Mean& mean) {
    std::vector<double> values;
    for (const Sample& sample : mean.samples) values.push_back(sample.mean);
    const std::vector<std::size_t> kept = thinned(values);
    notes_.thinned = notes_.thinned || kept.size() < values.size();
    notes_.one_state = notes_.one_state || values.size() == 1;
    const std::size_t between = std::max<std::size_t>(1, kept.size() / kMarks);
    // Not all series at the same states, or their marks would hide each other.
    const std::size_t first = series * between / std::max<std::size_t>(1, panel_.series.size());
    const std::string& label = panel_.series[series].label;
    for (std::size_t i = 0; i < kept.size(); ++i) {
      const Sample& sample = mean.samples[kept[i]];
      std::vector<Cell> row = {label, mean.x[kept[i]], sample.mean, {}, {}};
      if (sample.mean_interval) {
        row[kLow] = sample.mean_interval->low;
        row[kHigh] = sample.mean_interval->high;
        has_band_ = true;
      }
      std::vector<Cell> figures = {
          panel_.title, row[kSeries], row[kX],   static_cast<std::int64_t>(sample.n),
          row[kValue],  row[kLow],    row[kHigh]};
      data_.rows.push_back(std::move(figures));
      if (i % between == first % between) row.emplace_back(std::int64_t{1});
      means_.rows.push_back(std::move(row));
    }
  }

  void add_line(std::size_t series, std::size_t number) {
    const MetricHistory& history = histories_[number];
    std::vector<double> x;
    std::vector<double> values;
    for (const MetricPoint& point : history) {
      if (!std::isfinite(point.value)) continue;
      x.push_back(x_of(point));
      values.push_back(point.value);
    }
    if (!values.empty()) ++notes_.trials;
    for (const std::size_t i : thinned(values)) {
      lines_.rows.push_back(
          {panel_.series[series].label, x[i], values[i], static_cast<std::int64_t>(number)});
    }
  }

  json encoding(Mark mark) const {
    json x = quantity_axis(kX, options_.epochs ? "epoch" : "step");
    x["axis"] = {{"grid", false}, {"tickCount", 6}};
    if (whole_) x["axis"]["tickMinStep"] = 1;
    if (!options_.epochs) x["axis"]["format"] = "~s";
    json all = {{"x", std::move(x)}, {"y", quantity_axis(kValue, options_.y_title)}};
    all.update(series_encoding(panel_, kSeries, mark));
    return all;
  }

  json line_layer() const {
    json encoding = this->encoding(Mark::Area);
    encoding["detail"] = {{"field", field(kTrial)}, {"type", "nominal"}};
    return {{"data", inline_data(lines_)},
            {"mark", {{"type", "line"}, {"strokeWidth", 0.8}, {"opacity", 0.4}}},
            {"encoding", std::move(encoding)}};
  }

  json band_layer() const {
    json encoding = this->encoding(Mark::Area);
    encoding["y"] = quantity_axis(kLow, options_.y_title);
    encoding["y2"] = {{"field", field(kHigh)}};
    return {{"data", inline_data(means_)},
            {"transform", {{{"filter", fmt::format("isValid(datum.{})", field(kLow))}}}},
            {"mark", {{"type", "area"}, {"opacity", 0.16}}},
            {"encoding", std::move(encoding)}};
  }

  json mean_layer() const {
    return {{"data", inline_data(means_)},
            {"mark", {{"type", "line"}, {"strokeWidth", 2.4}}},
            {"encoding", encoding(Mark::Line)}};
  }

  json mark_layer() const {
    return {{"data", inline_data(means_)},
            {"transform", {{{"filter", fmt::format("isValid(datum.{})", field(kMark))}}}},
            {"mark", {{"type", "point"}, {"filled", true}, {"size", 55}, {"opacity", 1}}},
            {"encoding", encoding(Mark::Point)}};
  }

  const Results& results_;
  const Summary& summary_;
  const Panel& panel_;
  const CurveOptions& options_;
  const std::vector<MetricHistory>& histories_;
  Table& data_;
  CurveNotes& notes_;
  bool draw_lines_ = true;
  bool has_band_ = false;
  bool whole_ = true;  ///< all places across are whole numbers
  Table means_{{"series", "x", "mean", "low", "high", "mark"}, {}};
  Table lines_{{"series", "x", "value", "trial"}, {}};
};

}  // namespace

json curve_view(const Results& results, const Summary& summary, std::size_t quantity,
                const Panel& panel, const CurveOptions& options, Table& data, CurveNotes& notes) {
  return CurveView(results, summary, quantity, panel, options, data, notes).view();
}

std::vector<std::string> curve_columns(bool epochs) {
  return {"panel", "series", epochs ? "epoch" : "step", "n", "mean", "low", "high"};
}

std::string curve_caption(const Summary& summary, const CurveNotes& notes, bool epochs) {
  if (notes.n.empty()) return "Thin lines: trials that are not done; there is no mean yet.";
  const bool single = std::ranges::max(notes.n) == 1;
  std::string text =
      single ? "Lines: one trial each (n = 1), so that there is no interval."
             : fmt::format(
                   "Thick: the mean over trials ({}{}{}). Band: the 95% interval of that "
                   "mean (Student's t) at each {} by itself.",
                   said_n(notes.n), summary.replicates.empty() ? "" : "; they differ by ",
                   joined(summary.replicates), epochs ? "epoch" : "step");
  if (!single && std::ranges::min(notes.n) == 1) text += " Where n = 1 there is no band.";
  if (notes.trials > 0) text += " Thin: single trials.";
  if (notes.too_many > 0)
    text += fmt::format(" The lines of {} are left out, since they are too many.",
                        how_many(notes.too_many, "single trial"));
  if (notes.one_state) text += " Measured at one state alone: a mark, no line.";
  if (notes.not_finite > 0)
    text += fmt::format(
        " {} NaN or infinite, and left out.",
        notes.not_finite == 1 ? "1 value is" : fmt::format("{} values are", notes.not_finite));
  if (notes.thinned) text += " Of many states the least and the greatest of a stretch are drawn.";
  return text;
}

}  // namespace perturb
