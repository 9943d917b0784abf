#include <algorithm>
#include <cmath>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "perturb/report/summary.h"
#include "perturb/report/table.h"

namespace perturb {

namespace {

/// Figures of one metric with the same number of decimals, so that they can be compared by eye.
class Figures {
 public:
  Figures(const Summary& summary, std::size_t metric) {
    std::vector<double> spreads;
    std::vector<double> effects;
    for (const SummaryRow& row : summary.rows) {
      const SummaryCell& cell = row.cells[metric];
      if (cell.value.sd && *cell.value.sd > 0) spreads.push_back(*cell.value.sd);
      if (cell.difference.n > 0 && cell.difference.mean != 0)
        effects.push_back(std::fabs(cell.difference.mean));
    }
    std::vector<double>& scale = spreads.empty() ? effects : spreads;
    if (scale.empty()) return;
    const auto middle = scale.begin() + std::ssize(scale) / 2;
    std::nth_element(scale.begin(), middle, scale.end());
    // Two digits of a typical spread: what lies below is noise.
    decimals_ = std::clamp(1 - static_cast<int>(std::floor(std::log10(*middle))), 0, 8);
  }

  std::string number(double value) const {
    return std::fabs(value) < 1e9 ? fmt::format("{:.{}f}", value, decimals_)
                                  : fmt::format("{:.4g}", value);
  }
  std::string difference(double value) const {
    const std::string text = number(value);
    const bool zero = text.find_first_of("123456789") == std::string::npos;
    return zero ? number(0) : (value < 0 ? "" : "+") + text;
  }
  std::string interval(const std::optional<Interval>& interval) const {
    return interval ? fmt::format("[{}, {}]", number(interval->low), number(interval->high)) : "";
  }

 private:
  int decimals_ = 4;
};

/// "10", or "4/5 (1 diverged)".
std::string replicates(const SummaryRow& row, const SummaryCell& cell) {
  if (cell.value.n == row.trials) return std::to_string(row.trials);
  std::string rest;
  const auto add = [&](std::size_t n, std::string_view what) {
    if (n > 0) rest += fmt::format("{}{} {}", rest.empty() ? "" : ", ", n, what);
  };
  add(row.diverged, "diverged");
  add(row.failed, "failed");
  add(cell.not_finite, "not finite");
  add(row.missing, "to run");
  return fmt::format("{}/{} ({})", cell.value.n, row.trials, rest);
}

std::vector<std::string> cells(const SummaryRow& row, const SummaryCell& cell,
                               const Figures& figures) {
  const Sample& value = cell.value;
  std::string mean = "-";
  if (value.n > 0) mean = figures.number(value.mean);
  if (value.sd) mean += " ± " + figures.number(*value.sd);
  const Sample& difference = cell.difference;
  return {row.intervention,
          replicates(row, cell),
          mean,
          value.n == 1 ? "n = 1" : figures.interval(value.mean_interval),
          difference.n > 0 ? figures.difference(difference.mean) : "",
          difference.n == 1 ? "n = 1" : figures.interval(difference.mean_interval)};
}

std::string table(const Summary& summary, std::size_t metric, const SummaryStyle& style) {
  std::vector<TextTable::Column> columns;
  for (const std::string& factor : summary.by) columns.push_back({factor, Align::Right});
  columns.push_back({.title = "intervention", .flexible = true});
  columns.push_back({"n"});
  columns.push_back({"mean ± sd", Align::Right});
  columns.push_back({"95% interval", Align::Right});
  columns.push_back({"minus control", Align::Right});
  columns.push_back({"95% interval", Align::Right});
  TextTable text(columns);

  const Figures figures(summary, metric);
  std::size_t shown = 0;
  const std::vector<std::string>* above = nullptr;
  for (const SummaryRow& row : summary.rows) {
    if (style.most_rows > 0 && shown == style.most_rows) break;
    const bool same_group = above && *above == row.levels;
    if (above && !same_group) text.add_gap();
    // The levels once a group: what repeats is not read.
    std::vector<std::string> line =
        same_group ? std::vector<std::string>(row.levels.size()) : row.levels;
    for (std::string& cell : cells(row, row.cells[metric], figures))
      line.push_back(std::move(cell));
    const bool trouble = row.diverged + row.failed > 0;
    text.add(std::move(line), trouble ? Ink::Yellow : row.control ? Ink::Bold : Ink::Plain);
    above = &row.levels;
    ++shown;
  }
  std::string all = inked(printable(summary.metrics[metric]), Ink::Bold, style.color) +
                    " at the end of the run\n" +
                    text.text({.color = style.color, .width = style.width});
  if (shown < summary.rows.size())
    all += fmt::format("and {} more rows\n", summary.rows.size() - shown);
  return all;
}

std::string joined(const std::vector<std::string>& words) {
  std::string all;
  for (const std::string& word : words) all += (all.empty() ? "" : ", ") + printable(word);
  return all;
}

std::string notes(const Summary& summary) {
  bool single = false;
  bool compared = false;
  for (const SummaryRow& row : summary.rows) {
    for (const SummaryCell& cell : row.cells) {
      single = single || cell.value.n == 1;
      compared = compared || cell.difference.n > 0;
    }
  }
  std::string all;
  if (!summary.replicates.empty()) all += "Replicates: " + joined(summary.replicates) + ".\n";
  if (compared)
    all +=
        "Differences are paired with the control of the same variation; several to one control "
        "are averaged first.\nIntervals are Student's t, each by itself: not corrected for many "
        "comparisons.\n";
  if (single) all += "n = 1: one replicate has no spread, so there is no interval.\n";
  return all;
}

nlohmann::json json_number(double value) {
  if (!std::isfinite(value)) return nullptr;
  return value;
}

nlohmann::json json_sample(const Sample& sample) {
  nlohmann::json json = {{"n", sample.n}, {"mean", json_number(sample.mean)}};
  json["sd"] = sample.sd ? json_number(*sample.sd) : nlohmann::json();
  json["interval"] = nlohmann::json();
  if (sample.mean_interval)
    json["interval"] = {json_number(sample.mean_interval->low),
                        json_number(sample.mean_interval->high)};
  return json;
}

}  // namespace

std::string render(const Summary& summary, const SummaryStyle& style) {
  std::string all;
  for (std::size_t metric = 0; metric < summary.metrics.size(); ++metric)
    all += (metric > 0 ? "\n" : "") + table(summary, metric, style);
  const std::string said = notes(summary);
  return said.empty() ? all : all + "\n" + inked(said, Ink::Faint, style.color);
}

std::string to_json(const Summary& summary) {
  nlohmann::json rows = nlohmann::json::array();
  for (const SummaryRow& row : summary.rows) {
    nlohmann::json levels = nlohmann::json::object();
    for (std::size_t i = 0; i < summary.by.size(); ++i) levels[summary.by[i]] = row.levels[i];
    nlohmann::json metrics = nlohmann::json::object();
    for (std::size_t i = 0; i < summary.metrics.size(); ++i) {
      metrics[summary.metrics[i]] = {{"value", json_sample(row.cells[i].value)},
                                     {"difference", json_sample(row.cells[i].difference)},
                                     {"not_finite", row.cells[i].not_finite}};
    }
    rows.push_back({{"levels", levels},
                    {"intervention", row.intervention},
                    {"control", row.control},
                    {"trials", row.trials},
                    {"done", row.done},
                    {"diverged", row.diverged},
                    {"failed", row.failed},
                    {"missing", row.missing},
                    {"metrics", metrics}});
  }
  const nlohmann::json all = {
      {"by", summary.by}, {"replicates", summary.replicates}, {"rows", rows}};
  return all.dump(2, ' ', false, nlohmann::json::error_handler_t::replace) + "\n";
}

}  // namespace perturb
