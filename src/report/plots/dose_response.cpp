#include <algorithm>
#include <cmath>
#include <map>

#include <fmt/format.h>

#include "perturb/core/error.h"
#include "perturb/report/chart.h"
#include "report/figures.h"
#include "report/plots/dose.h"
#include "report/plots/plots.h"

namespace perturb {

using nlohmann::json;

namespace {

// Columns of the data.
enum : std::size_t { kSeries, kDose, kValue, kLow, kHigh };

std::string dose_of(const PlotSpec& spec, const Experiment& experiment) {
  const std::string& said = text_of(spec, "parameter");
  if (!said.empty()) return said;
  std::vector<std::string> all = doses(experiment);
  if (all.empty()) all = doses(experiment, 1);
  if (all.size() == 1) return all.front();
  if (all.empty())
    throw Error(ExitCode::Usage, "no intervention has a numeric parameter that varies",
                "dose-response is of one such as perturb-weights.epsilon = [0.01, 0.1]");
  throw Error(ExitCode::Usage,
              "dose-response does not know which parameter is the dose: " + joined(all),
              fmt::format("say it: parameter = \"{}\"", all.front()));
}

/// Whether the ratios of successive doses are more alike than their distances.
bool log_spaced(const std::vector<double>& doses) {
  if (doses.size() < 2 || doses.front() <= 0 || doses.back() < 5 * doses.front()) return false;
  if (doses.size() == 2) return doses.back() >= 10 * doses.front();
  const auto unevenness = [&](const auto& position) {
    double least = std::numeric_limits<double>::infinity();
    double most = 0;
    for (std::size_t i = 0; i + 1 < doses.size(); ++i) {
      const double gap = position(doses[i + 1]) - position(doses[i]);
      least = std::min(least, gap);
      most = std::max(most, gap);
    }
    return most / least;
  };
  return unevenness([](double x) { return std::log(x); }) < unevenness([](double x) { return x; });
}

class DoseResponse {
 public:
  DoseResponse(const PlotSpec& spec, const Results& results)
      : results_(results),
        dose_(dose_of(spec, results.experiment())),
        difference_(flag_of(spec, "difference")),
        summary_(results.summary(options(spec))) {
    unsaid_ = spec.average_over;
    unsaid_.push_back(dose_);
    metric_ = label_text(metric_of(spec));
  }

  Figure figure() {
    Figure figure{.title = fmt::format("{}{}, by {}", title(summary_, 0),
                                       difference_ ? ", minus control" : "", label_text(dose_)),
                  .caption = left_out(summary_, 0),
                  .query = values_query(results_, summary_,
                                        difference_ ? Values::Differences : Values::Themselves)};
    figure.data.columns = {"series", dose_,  difference_ ? "difference" : "mean",
                           "low",    "high", "n"};
    gather();
    if (frames_.empty()) return nothing(std::move(figure), "no trial with a dose has a value");
    Panels drawn;
    if (frames_.size() > kMostPanels) {
      drawn.left_out = frames_.size() - kMostPanels;
      frames_.resize(kMostPanels);
    }
    for (const Frame& frame : frames_) drawn.panels.push_back(frame.panel);
    std::ranges::sort(doses_);
    log_ = log_spaced(doses_);
    std::vector<json> views;
    for (const Frame& frame : frames_) {
      views.push_back(view(frame));
      figure.data.rows.insert(figure.data.rows.end(), frame.figures.begin(), frame.figures.end());
    }
    figure.caption =
        caption() + (figure.caption.empty() ? "" : " " + figure.caption) + said_left_out(drawn);
    figure.spec = chart(figure);
    lay_out(figure.spec, std::move(views), 2, Scales::Shared, drawn);
    return figure;
  }

 private:
  struct Frame {
    Panel panel;
    Table data{{"series", "dose", "value", "low", "high"}, {}};
    std::vector<std::vector<Cell>> figures;
    const SummaryRow* control = nullptr;
  };

  SummaryOptions options(const PlotSpec& spec) const {
    SummaryOptions options = summary_options(spec, {metric_of(spec)});
    std::erase(options.average_over, dose_);
    return options;
  }

  /// The intervention without its dose: what has one curve.
  std::string curve_of(const SummaryRow& row) const {
    const Experiment& experiment = results_.experiment();
    return experiment.group(row.numbers.front() % (1 + experiment.alternatives()), unsaid_, false);
  }

  void gather() {
    const SummaryRow* control = nullptr;
    std::map<std::string, Curve> curves;  // of this control
    for (const SummaryRow& row : summary_.rows) {
      if (row.control) {
        control = &row;
        curves.clear();
        continue;
      }
      const auto dose = results_.level(row, dose_);
      const SummaryCell& cell = row.cells.front();
      const Sample& sample = difference_ ? cell.against.difference : cell.value;
      if (!dose || !dose->is_number()) {
        without_dose_ += row.trials;
        continue;
      }
      if (sample.n == 0) continue;
      const std::string curve = curve_of(row);
      auto known = curves.find(curve);
      if (known == curves.end()) known = curves.emplace(curve, place(control, curve)).first;
      add(frames_[known->second.frame], known->second.label, dose->as_float(), sample);
    }
  }

  struct Curve {
    std::size_t frame = 0;
    std::string label;
  };
  /// Where a new curve goes: the control's latest frame, if there is room.
  Curve place(const SummaryRow* control, const std::string& curve) {
    const bool room = !frames_.empty() && frames_.back().control == control &&
                      frames_.back().panel.series.size() < kSeriesColors;
    if (!room) {
      Frame fresh;
      fresh.control = control;
      fresh.panel.title = control ? levels_label(summary_, *control) : "";
      frames_.push_back(std::move(fresh));
    }
    std::vector<Series>& series = frames_.back().panel.series;
    series.push_back({.label = label_text(curve)});
    make_unique(series);
    return {frames_.size() - 1, series.back().label};
  }

  void add(Frame& frame, const std::string& curve, double dose, const Sample& sample) {
    std::vector<Cell> row = {curve, dose, sample.mean, {}, {}};
    if (sample.mean_interval) {
      row[kLow] = sample.mean_interval->low;
      row[kHigh] = sample.mean_interval->high;
    }
    n_.push_back(sample.n);
    if (std::ranges::find(doses_, dose) == doses_.end()) doses_.push_back(dose);
    std::vector<Cell> figures = row;
    figures.emplace_back(static_cast<std::int64_t>(sample.n));
    figures[kSeries] = frame.panel.title.empty() ? curve : curve + ", " + frame.panel.title;
    frame.data.rows.push_back(std::move(row));
    frame.figures.push_back(std::move(figures));
  }

  /// The control, as a line with its band: 0 for differences.
  json control_layers(const SummaryRow& row) const {
    json layers = json::array();
    const Sample& sample = row.cells.front().value;
    if (difference_) {
      layers.push_back({{"data", one_row()},
                        {"mark", {{"type", "rule"}, {"style", "zero"}, {"strokeDash", {4, 3}}}},
                        {"encoding", {{"y", {{"datum", 0}}}}}});
      return layers;
    }
    if (sample.n == 0) return layers;
    if (sample.mean_interval)
      layers.push_back({{"data", one_row()},
                        {"mark", {{"type", "rect"}, {"style", "ink"}, {"opacity", 0.1}}},
                        {"encoding",
                         {{"y", {{"datum", sample.mean_interval->low}}},
                          {"y2", {{"datum", sample.mean_interval->high}}}}}});
    layers.push_back({{"data", one_row()},
                      {"mark", {{"type", "rule"}, {"style", "ink"}, {"strokeWidth", 2}}},
                      {"encoding", {{"y", {{"datum", sample.mean}}}}}});
    return layers;
  }

  json view(const Frame& frame) const {
    json x = quantity_axis(kDose, dose_);
    x["scale"]["padding"] = 16;
    if (log_) x["scale"] = {{"type", "log"}, {"padding", 16}};
    x["axis"] = {
        {"grid", false}, {"values", shown_doses()}, {"format", "~g"}, {"labelOverlap", true}};
    const json y = quantity_axis(kValue, metric_ + (difference_ ? ", minus control" : ""));
    json low = y;
    low["field"] = field(kLow);
    const auto encoding = [&](Mark mark, const json& upwards) {
      json all = {{"x", x}, {"y", upwards}};
      all.update(series_encoding(frame.panel, kSeries, mark));
      return all;
    };
    json interval = encoding(Mark::Area, low);
    interval["y2"] = {{"field", field(kHigh)}};
    json layers = frame.control ? control_layers(*frame.control) : json::array();
    const bool intervals = std::ranges::any_of(frame.data.rows, [](const auto& row) {
      return !std::holds_alternative<std::monostate>(row[kLow]);
    });
    if (intervals)
      layers.push_back(
          {{"mark", {{"type", "rule"}, {"strokeWidth", 1.6}}},
           {"transform", {{{"filter", fmt::format("isValid(datum.{})", field(kLow))}}}},
           {"encoding", std::move(interval)}});
    layers.push_back({{"mark", {{"type", "line"}, {"strokeWidth", 1.6}}},
                      {"encoding", encoding(Mark::Line, y)}});
    layers.push_back({{"mark", {{"type", "point"}, {"filled", true}, {"size", 60}, {"opacity", 1}}},
                      {"encoding", encoding(Mark::Point, y)}});
    json view = {{"width", 360},
                 {"height", 240},
                 {"data", inline_data(frame.data)},
                 {"layer", std::move(layers)}};
    if (!frame.panel.title.empty()) view["title"] = panel_title(frame.panel.title);
    return view;
  }

  /// The doses themselves are what the axis says, as long as they fit.
  json shown_doses() const {
    constexpr std::size_t kMostTicks = 12;
    return doses_.size() <= kMostTicks ? json(doses_) : json(nullptr);
  }

  std::string caption() const {
    const bool single = std::ranges::max(n_) == 1;
    std::string text = fmt::format(
        "Points: the mean {} ({}{}{}).", difference_ ? "of the paired differences" : "over trials",
        said_n(n_), summary_.replicates.empty() ? "" : "; they differ by ",
        joined(summary_.replicates));
    text += single ? " With n = 1 there is no interval."
                   : " Vertical lines: its 95% interval (Student's t), each by itself.";
    text += difference_ ? " Dashed: no difference from the control."
                        : " Horizontal: the control, with the 95% interval of its mean.";
    if (without_dose_ > 0)
      text += fmt::format(
          " {} of interventions without that dose, or with several, not drawn.",
          without_dose_ == 1 ? "1 trial is" : fmt::format("{} trials are", without_dose_));
    return text;
  }

  const Results& results_;
  std::string dose_;
  bool difference_;
  const Summary& summary_;
  std::vector<std::string> unsaid_;
  std::string metric_;
  std::vector<Frame> frames_;
  std::vector<std::size_t> n_;
  std::vector<double> doses_;
  bool log_ = false;
  std::size_t without_dose_ = 0;
};

}  // namespace

Figure plot_dose_response(const PlotSpec& spec, const Results& results) {
  return DoseResponse(spec, results).figure();
}

}  // namespace perturb
