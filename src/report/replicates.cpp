// The raw values: every trial as a line of its own.
#include <algorithm>
#include <cmath>
#include <map>

#include <fmt/format.h>

#include "perturb/report/summary.h"
#include "perturb/report/table.h"
#include "report/figures.h"
#include "report/summary_tables.h"

namespace perturb {

namespace {

std::string table(const Summary& summary, const std::vector<Replicate>& replicates,
                  std::size_t quantity, const SummaryStyle& style) {
  const bool best = summary.place.kind == At::Kind::Best;
  std::vector<TextTable::Column> columns;
  for (const std::string& factor : summary.by) columns.push_back({factor, Align::Right});
  columns.push_back({.title = "intervention", .flexible = true});
  for (const std::string& factor : summary.replicates) columns.push_back({factor, Align::Right});
  columns.push_back({"trial", Align::Right});
  columns.push_back({"value", Align::Right});
  if (best) columns.push_back({"at step", Align::Right});
  columns.push_back({"minus control", Align::Right});
  TextTable text(columns);

  const Figures figures(summary, quantity);
  std::size_t shown = 0;
  const SummaryRow* above = nullptr;
  for (const Replicate& replicate : replicates) {
    if (style.most_rows > 0 && shown == style.most_rows) break;
    ++shown;
    const SummaryRow& row = summary.rows[replicate.row];
    const bool same_group = above && above->levels == row.levels;
    if (above && !same_group) text.add_gap();
    std::vector<std::string> line =
        same_group ? std::vector<std::string>(row.levels.size()) : row.levels;
    line.push_back(above == &row ? "" : row.intervention);
    line.insert(line.end(), replicate.levels.begin(), replicate.levels.end());
    line.push_back(std::to_string(replicate.number));
    const Reading& reading = replicate.readings[quantity];
    const std::string no_value = lack(replicate, reading);
    line.push_back(no_value.empty() ? figures.number(reading.value) : no_value);
    if (best) line.push_back(no_value.empty() ? std::to_string(reading.step) : "");
    const double difference = reading.value - reading.control;
    line.push_back(no_value.empty() && std::isfinite(difference) ? figures.difference(difference)
                                                                 : "");
    const bool trouble =
        replicate.standing == Standing::Diverged || replicate.standing == Standing::Failed;
    text.add(std::move(line), trouble ? Ink::Yellow : row.control ? Ink::Bold : Ink::Plain);
    above = &row;
  }
  std::string all = inked(title(summary, quantity), Ink::Bold, style.color) + "\n" +
                    text.text({.color = style.color, .width = style.width});
  if (shown < replicates.size())
    all += fmt::format("and {} more rows\n", replicates.size() - shown);
  return all;
}

}  // namespace

std::vector<Replicate> replicates(const Experiment& experiment, const Summary& summary,
                                  const std::vector<Observation>& observations) {
  std::vector<Replicate> all;
  for (std::size_t r = 0; r < summary.rows.size(); ++r) {
    for (const std::size_t number : summary.rows[r].numbers) {
      const Observation& observation = observations[number];
      std::map<std::string, Value> factors;
      for (auto& [name, value] : factors_of(experiment.trial(number)))
        factors.insert_or_assign(name, value);
      Replicate replicate{.number = number,
                          .row = r,
                          .trial = observation.trial,
                          .standing = observation.standing,
                          .readings = observation.readings};
      for (const std::string& factor : summary.replicates) {
        const auto found = factors.find(factor);
        replicate.levels.push_back(found == factors.end() ? "" : experiment.shown(found->second));
      }
      all.push_back(std::move(replicate));
    }
  }
  return all;
}

std::string render(const Summary& summary, const std::vector<Replicate>& replicates,
                   const SummaryStyle& style) {
  std::string all;
  for (std::size_t quantity = 0; quantity < summary.quantities.size(); ++quantity)
    all += (quantity > 0 ? "\n" : "") + table(summary, replicates, quantity, style);
  return all;
}

}  // namespace perturb
