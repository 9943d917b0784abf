// The summary for programs: JSON and CSV.
#include <cmath>
#include <optional>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "perturb/report/summary.h"
#include "perturb/report/table.h"

namespace perturb {

namespace {

using Json = nlohmann::json;

Json json_number(double value) {
  if (!std::isfinite(value)) return nullptr;
  return value;
}
Json json_number(const std::optional<double>& value) {
  return value ? json_number(*value) : Json();
}

Json json_sample(const Sample& sample) {
  Json json = {{"n", sample.n}, {"mean", json_number(sample.mean)}, {"sd", json_number(sample.sd)}};
  json["interval"] = Json();
  if (sample.mean_interval)
    json["interval"] = {json_number(sample.mean_interval->low),
                        json_number(sample.mean_interval->high)};
  return json;
}

std::string_view name_of(Better better) {
  switch (better) {
    case Better::Neither:
      return "neither";
    case Better::Higher:
      return "higher";
    case Better::Lower:
      return "lower";
  }
  return "";
}

std::string_view name_of(Standing standing) {
  switch (standing) {
    case Standing::Missing:
      return "missing";
    case Standing::Done:
      return "done";
    case Standing::Diverged:
      return "diverged";
    case Standing::Failed:
      return "failed";
  }
  return "";
}

Json json_cell(const SummaryCell& cell, const Quantity& quantity) {
  const Comparison& against = cell.against;
  return {{"value", json_sample(cell.value)},
          {"difference", json_sample(against.difference)},
          {"pairs", cell.pairs},
          {"one_control", cell.one_control},
          {"hedges_g", json_number(against.hedges_g)},
          {"better", name_of(quantity.better)},
          {"wins", against.wins},
          {"ties", against.ties},
          {"p", json_number(against.p)},
          {"p_holm", json_number(against.p_holm)},
          {"family", cell.family},
          {"not_finite", cell.not_finite},
          {"not_measured", cell.unmeasured},
          {"never", cell.never}};
}

Json json_replicate(const Summary& summary, const Replicate& replicate) {
  const SummaryRow& row = summary.rows[replicate.row];
  Json levels = Json::object();
  for (std::size_t i = 0; i < summary.by.size(); ++i) levels[summary.by[i]] = row.levels[i];
  for (std::size_t i = 0; i < summary.replicates.size(); ++i)
    levels[summary.replicates[i]] = replicate.levels[i];
  Json metrics = Json::object();
  for (std::size_t i = 0; i < summary.quantities.size(); ++i) {
    const Reading& reading = replicate.readings[i];
    metrics[summary.quantities[i].label] = {
        {"value", json_number(reading.value)},
        {"control", json_number(reading.control)},
        {"difference", json_number(reading.value - reading.control)},
        {"measured", reading.lack != Reading::Lack::Unmeasured},
        {"never", reading.lack == Reading::Lack::Never}};
    if (!summary.quantities[i].of_run() && reading.lack == Reading::Lack::None)
      metrics[summary.quantities[i].label].update(
          {{"step", reading.step}, {"epoch", reading.epoch}});
  }
  return {{"number", replicate.number},
          {"trial", replicate.trial.hex()},
          {"levels", levels},
          {"intervention", row.intervention},
          {"standing", name_of(replicate.standing)},
          {"metrics", metrics}};
}

// CSV, in which what is absent is empty.

std::string csv_number(double value) { return std::isnan(value) ? "" : fmt::format("{}", value); }
std::string csv_number(const std::optional<double>& value) {
  return value ? csv_number(*value) : "";
}

void add_sample(std::vector<std::string>& line, const Sample& sample) {
  line.push_back(csv_number(sample.mean));
  line.push_back(csv_number(sample.sd));
  line.push_back(sample.mean_interval ? csv_number(sample.mean_interval->low) : "");
  line.push_back(sample.mean_interval ? csv_number(sample.mean_interval->high) : "");
}

}  // namespace

std::string to_json(const Summary& summary, const std::vector<Replicate>* replicates) {
  Json rows = Json::array();
  for (const SummaryRow& row : summary.rows) {
    Json levels = Json::object();
    for (std::size_t i = 0; i < summary.by.size(); ++i) levels[summary.by[i]] = row.levels[i];
    Json metrics = Json::object();
    for (std::size_t i = 0; i < summary.quantities.size(); ++i)
      metrics[summary.quantities[i].label] = json_cell(row.cells[i], summary.quantities[i]);
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
  Json all = {{"by", summary.by}, {"replicates", summary.replicates}, {"rows", rows}};
  if (replicates) {
    all["trials"] = Json::array();
    for (const Replicate& replicate : *replicates)
      all["trials"].push_back(json_replicate(summary, replicate));
  }
  return all.dump(2, ' ', false, Json::error_handler_t::replace) + "\n";
}

std::string to_csv(const Summary& summary, CsvReader reader) {
  std::vector<std::string> titles = summary.by;
  for (const char* title : {"intervention",
                            "metric",
                            "trials",
                            "done",
                            "diverged",
                            "failed",
                            "missing",
                            "not_measured",
                            "never",
                            "not_finite",
                            "n",
                            "mean",
                            "sd",
                            "low",
                            "high",
                            "pairs",
                            "complete_pairs",
                            "difference",
                            "difference_sd",
                            "difference_low",
                            "difference_high",
                            "hedges_g",
                            "wins",
                            "ties",
                            "p",
                            "p_holm"})
    titles.emplace_back(title);
  std::string all = csv_line(titles, reader);
  for (const SummaryRow& row : summary.rows) {
    for (std::size_t i = 0; i < summary.quantities.size(); ++i) {
      const SummaryCell& cell = row.cells[i];
      std::vector<std::string> line = row.levels;
      line.push_back(row.intervention);
      line.push_back(summary.quantities[i].label);
      for (const std::size_t count : {row.trials, row.done, row.diverged, row.failed, row.missing,
                                      cell.unmeasured, cell.never, cell.not_finite, cell.value.n})
        line.push_back(std::to_string(count));
      add_sample(line, cell.value);
      line.push_back(std::to_string(cell.pairs));
      line.push_back(std::to_string(cell.against.difference.n));
      add_sample(line, cell.against.difference);
      line.push_back(csv_number(cell.against.hedges_g));
      line.push_back(std::to_string(cell.against.wins));
      line.push_back(std::to_string(cell.against.ties));
      line.push_back(csv_number(cell.against.p));
      line.push_back(csv_number(cell.against.p_holm));
      all += csv_line(line, reader);
    }
  }
  return all;
}

std::string to_csv(const Summary& summary, const std::vector<Replicate>& replicates,
                   CsvReader reader) {
  std::vector<std::string> titles = summary.by;
  titles.insert(titles.end(), summary.replicates.begin(), summary.replicates.end());
  for (const char* title : {"intervention", "number", "trial", "standing", "metric", "step",
                            "epoch", "value", "control_value", "difference"})
    titles.emplace_back(title);
  std::string all = csv_line(titles, reader);
  for (const Replicate& replicate : replicates) {
    const SummaryRow& row = summary.rows[replicate.row];
    for (std::size_t i = 0; i < summary.quantities.size(); ++i) {
      const Reading& reading = replicate.readings[i];
      const bool placed = !summary.quantities[i].of_run() && reading.lack == Reading::Lack::None;
      std::vector<std::string> line = row.levels;
      line.insert(line.end(), replicate.levels.begin(), replicate.levels.end());
      line.insert(line.end(),
                  {row.intervention, std::to_string(replicate.number), replicate.trial.hex(),
                   std::string(name_of(replicate.standing)), summary.quantities[i].label,
                   placed ? std::to_string(reading.step) : "",
                   placed ? fmt::format("{}", reading.epoch) : "", csv_number(reading.value),
                   csv_number(reading.control), csv_number(reading.value - reading.control)});
      all += csv_line(line, reader);
    }
  }
  return all;
}

}  // namespace perturb
