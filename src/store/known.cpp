#include <algorithm>
#include <string>
#include <vector>

#include "store/state.h"
#include "store/views.h"

namespace perturb {

namespace {

Known known_of(const Cursor& row) {
  Known known;
  known.outcome = outcome_from(row.text(1));
  known.step = row.integer(2);
  if (!row.null(3)) known.done = row.integer(3);
  known.message = row.text(4);
  known.seconds = row.real(5);
  known.trained = row.integer(6);
  return known;
}

/// Place in the list that was asked for, by id; kNotAsked for other metrics.
constexpr std::uint32_t kNotAsked = UINT32_MAX;
std::vector<std::uint32_t> places(const Database& database, const std::vector<Digest>& metrics) {
  std::vector<std::uint32_t> places;
  for (std::size_t i = 0; i < metrics.size(); ++i) {
    Cursor row = database.kept("SELECT id FROM metrics WHERE digest = ?").rows(metrics[i]);
    if (!row.next()) continue;
    const auto id = static_cast<std::size_t>(row.integer(0));
    if (id >= places.size()) places.resize(id + 1, kNotAsked);
    if (places[id] == kNotAsked) places[id] = static_cast<std::uint32_t>(i);
  }
  return places;
}

}  // namespace

std::unordered_map<Digest, Known> Store::known(const std::vector<Digest>& trials,
                                               const std::vector<Digest>& metrics) const {
  const Database& database = *state_->database;
  const Snapshot snapshot(database);
  const std::vector<std::uint32_t> place = places(database, metrics);
  Statement& find = database.kept(
      "SELECT id, outcome, step, done, message, seconds, trained FROM all_trials "
      "WHERE digest = ? AND outcome IS NOT NULL");
  Statement& measured = database.kept(
      "SELECT s.step, v.metric FROM trial_states AS s CROSS JOIN measurements AS v "
      "WHERE s.trial = ? AND v.state = s.state");

  std::unordered_map<Digest, Known> all;
  all.reserve(trials.size());
  for (const Digest& trial : trials) {
    Cursor row = find.rows(trial);
    if (!row.next()) continue;
    Known& known = all[trial] = known_of(row);
    Cursor values = measured.rows(row.integer(0));
    while (values.next()) {
      const auto metric = static_cast<std::size_t>(values.integer(1));
      if (metric < place.size() && place[metric] != kNotAsked)
        known.measured.emplace_back(values.integer(0), place[metric]);
    }
  }
  return all;
}

double Store::seconds_per_step(std::string_view model_kind, std::string_view data_kind) const {
  const Database& database = *state_->database;
  const std::vector<std::string> columns = factor_columns(database);
  for (const char* needed : {"model.kind", "data.kind"}) {
    if (std::find(columns.begin(), columns.end(), needed) == columns.end()) return 0;
  }
  // A thousand tell as much as all of them.
  Statement statement(database,
                      "SELECT t.seconds / t.trained FROM factors AS f "
                      "CROSS JOIN members AS m ON m.id = f.member "
                      "CROSS JOIN all_trials AS t ON t.id = m.trial "
                      "WHERE f.\"model.kind\" = ? AND f.\"data.kind\" = ? "
                      "AND t.outcome = 'done' AND t.trained > 0 "
                      "ORDER BY f.member DESC LIMIT 1000");
  Cursor rows = statement.rows(model_kind, data_kind);
  std::vector<double> seconds;
  while (rows.next()) seconds.push_back(rows.real(0));
  if (seconds.empty()) return 0;
  const auto middle = seconds.begin() + std::ssize(seconds) / 2;
  std::nth_element(seconds.begin(), middle, seconds.end());
  return *middle;
}

}  // namespace perturb
