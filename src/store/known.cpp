#include <algorithm>
#include <span>
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
std::vector<std::uint32_t> places_of(const Database& database, const std::vector<Digest>& metrics) {
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

struct Asked {
  std::int64_t id;
  Known* known;
};

/// Adds what was measured of trials with successive ids.
void add_measured(Statement& measured, std::span<const Asked> trials,
                  const std::vector<std::uint32_t>& places) {
  Cursor row = measured.rows(trials.front().id, trials.back().id);
  while (row.next()) {
    const auto metric = static_cast<std::size_t>(row.integer(2));
    if (metric >= places.size() || places[metric] == kNotAsked) continue;
    const auto trial = static_cast<std::size_t>(row.integer(0) - trials.front().id);
    trials[trial].known->measured.emplace_back(row.integer(1), places[metric]);
  }
}

}  // namespace

std::unordered_map<Digest, Known> Store::known(const std::vector<Digest>& trials,
                                               const std::vector<Digest>& metrics) const {
  const Database& database = *state_->database;
  const Snapshot snapshot(database);
  const std::vector<std::uint32_t> places = places_of(database, metrics);

  std::unordered_map<Digest, Known> all;
  all.reserve(trials.size());
  std::vector<Asked> asked;
  asked.reserve(trials.size());
  Statement& find = database.kept(
      "SELECT id, outcome, step, done, message, seconds, trained FROM all_trials "
      "WHERE digest = ? AND outcome IS NOT NULL");
  for (const Digest& trial : trials) {
    Cursor row = find.rows(trial);
    if (!row.next()) continue;
    const auto [entry, is_new] = all.try_emplace(trial);
    if (!is_new) continue;
    entry->second = known_of(row);
    asked.push_back({row.integer(0), &entry->second});
  }

  // Trials that were declared together have successive ids: one question for all of them takes
  // a third of the time of one for each.
  std::sort(asked.begin(), asked.end(), [](const Asked& a, const Asked& b) { return a.id < b.id; });
  Statement& measured = database.kept(
      "SELECT s.trial, s.step, v.metric FROM trial_states AS s CROSS JOIN measurements AS v "
      "WHERE s.trial BETWEEN ? AND ? AND v.state = s.state AND v.reference = 0");
  for (auto first = asked.begin(); first != asked.end();) {
    auto last = first + 1;
    while (last != asked.end() && last->id == (last - 1)->id + 1) ++last;
    add_measured(measured, {first, last}, places);
    first = last;
  }
  return all;
}

void Store::each_trial(const std::function<void(const StoredTrial&)>& take) const {
  Statement statement(
      *state_->database,
      "SELECT t.digest, t.outcome, t.step, coalesce(e.name, ''), coalesce(m.number, 0), c.json, "
      "coalesce(t.operations, '[]'), c.ingredients "
      "FROM all_trials AS t JOIN conditions AS c ON c.id = t.condition "
      "LEFT JOIN members AS m ON m.id = (SELECT min(id) FROM members WHERE trial = t.id) "
      "LEFT JOIN experiments AS e ON e.id = m.experiment WHERE t.outcome IS NOT NULL ORDER BY "
      "t.id");
  Cursor row = statement.rows();
  while (row.next()) {
    StoredTrial one;
    one.trial = row.digest(0);
    one.outcome = outcome_from(row.text(1));
    one.step = row.integer(2);
    one.experiment = row.text(3);
    one.number = row.integer(4);
    one.condition = row.text(5);
    one.operations = row.text(6);
    one.ingredients = row.text(7);
    take(one);
  }
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
