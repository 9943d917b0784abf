#include <algorithm>
#include <string>
#include <utility>
#include <vector>

#include "store/state.h"

namespace perturb {

namespace {

/// Whether the trial, which goes through a state with a checkpoint at `step`, still wants it.
bool wants(const Database& database, std::int64_t trial, std::int64_t step) {
  Retention retention = Retention::None;  // of a trial that no experiment has any more
  {
    Cursor row = database
                     .kept(
                         "SELECT max(e.retention) FROM members AS m "
                         "JOIN experiments AS e ON e.id = m.experiment WHERE m.trial = ?")
                     .rows(trial);
    if (row.next() && !row.null(0)) retention = static_cast<Retention>(row.integer(0));
  }
  if (retention == Retention::All) return true;
  if (retention == Retention::None) {
    Cursor row = database.kept("SELECT outcome = 'done' FROM all_trials WHERE id = ?").rows(trial);
    if (row.next() && row.integer(0) == 1) return false;
  }
  Cursor newer =
      database.kept("SELECT 1 FROM checkpoint_trials WHERE trial = ? AND step > ? LIMIT 1")
          .rows(trial, step);
  return !newer.next();
}

/// Place in the list that was asked for, by id.
std::unordered_map<std::int64_t, std::uint32_t> places_of(const Database& database,
                                                          const std::vector<Digest>& metrics) {
  std::unordered_map<std::int64_t, std::uint32_t> places;
  for (std::size_t i = 0; i < metrics.size(); ++i) {
    Cursor row = database.kept("SELECT id FROM metrics WHERE digest = ?").rows(metrics[i]);
    if (row.next()) places.try_emplace(row.integer(0), static_cast<std::uint32_t>(i));
  }
  return places;
}

}  // namespace

void Store::State::keep_checkpoint(RunId run, const Saved& saved, std::int64_t state,
                                   const std::vector<std::int64_t>& trials) {
  database
      ->kept(
          "INSERT INTO checkpoints (state, blob, bytes, step, run) VALUES (?, ?, ?, ?, ?) "
          "ON CONFLICT (state) DO NOTHING")
      .run(state, saved.blob, saved.bytes, saved.step, run);
  const bool is_new = database->changes() == 1;
  for (const std::int64_t trial : trials) {
    database
        ->kept(
            "INSERT INTO checkpoint_trials (state, trial, step) VALUES (?, ?, ?) "
            "ON CONFLICT DO NOTHING")
        .run(state, trial, saved.step);
  }
  if (is_new) {
    new_blobs.push_back(saved.blob);
    // It may have been about to go: an equal state can come back under another id.
    std::erase(old_blobs, saved.blob);
    return;
  }
  // The first one stays. Where another machine class wrote other bytes, these are nobody's.
  Cursor row = database->kept("SELECT 1 FROM checkpoints WHERE blob = ?").rows(saved.blob);
  if (!row.next()) old_blobs.push_back(saved.blob);
}

void Store::State::remove_checkpoint(std::int64_t state) {
  Digest blob;
  {
    Cursor row = database->kept("SELECT blob FROM checkpoints WHERE state = ?").rows(state);
    if (!row.next()) return;
    blob = row.digest(0);
  }
  database->kept("DELETE FROM checkpoints WHERE state = ?").run(state);
  Cursor row = database->kept("SELECT 1 FROM checkpoints WHERE blob = ?").rows(blob);
  if (row.next()) return;
  old_blobs.push_back(blob);
  std::erase(new_blobs, blob);
}

bool Store::State::wanted(std::int64_t state) const {
  {
    Cursor needed =
        database->kept("SELECT 1 FROM needed_states WHERE state = ? LIMIT 1").rows(state);
    if (needed.next()) return true;
  }
  // Those that were declared last are carried out last, and are the likeliest to want it.
  Cursor row =
      database
          ->kept("SELECT trial, step FROM checkpoint_trials WHERE state = ? ORDER BY trial DESC")
          .rows(state);
  while (row.next()) {
    if (wants(*database, row.integer(0), row.integer(1))) return true;
  }
  return false;
}

void Store::State::prune(const std::vector<std::int64_t>& trials) {
  std::vector<std::int64_t> states;
  for (const std::int64_t trial : trials) {
    Cursor row = database->kept("SELECT state FROM checkpoint_trials WHERE trial = ?").rows(trial);
    while (row.next()) states.push_back(row.integer(0));
  }
  std::sort(states.begin(), states.end());
  states.erase(std::unique(states.begin(), states.end()), states.end());
  remove_unwanted(states);
}

void Store::State::remove_unwanted(const std::vector<std::int64_t>& states) {
  for (const std::int64_t state : states) {
    if (wanted(state)) continue;
    if (!held.empty()) {
      Cursor row = database->kept("SELECT digest FROM states WHERE id = ?").rows(state);
      if (row.next() && held.contains(row.digest(0))) continue;
    }
    remove_checkpoint(state);
  }
}

std::unordered_map<Digest, KnownState> Store::states(const std::vector<Digest>& states,
                                                     const std::vector<Digest>& metrics) const {
  const Database& database = *state_->database;
  const Snapshot snapshot(database);
  const auto places = places_of(database, metrics);
  std::unordered_map<Digest, KnownState> all;
  for (const Digest& digest : states) {
    if (all.contains(digest)) continue;
    KnownState known;
    std::int64_t id = 0;
    {
      Cursor row = database
                       .kept(
                           "SELECT s.id, c.blob, c.bytes, c.step FROM states AS s "
                           "LEFT JOIN checkpoints AS c ON c.state = s.id WHERE s.digest = ?")
                       .rows(digest);
      if (!row.next()) continue;
      id = row.integer(0);
      if (!row.null(1)) known.checkpoint = {row.digest(1), row.integer(2), row.integer(3)};
    }
    Cursor row = database
                     .kept(
                         "SELECT v.metric, r.digest FROM measurements AS v "
                         "LEFT JOIN states AS r ON r.id = v.reference WHERE v.state = ?")
                     .rows(id);
    bool measured = false;
    while (row.next()) {
      measured = true;
      const auto place = places.find(row.integer(0));
      if (place == places.end()) continue;
      if (row.null(1)) {
        known.metrics.push_back(place->second);
      } else {
        known.compared.emplace_back(place->second, row.digest(1));
      }
    }
    // A state that has neither was reached, too, but lost what it left: nobody can rely on it.
    if (measured || known.checkpoint) all.emplace(digest, std::move(known));
  }
  return all;
}

bool Store::has_states() const {
  return state_->database->integer("SELECT EXISTS (SELECT 1 FROM states)") == 1;
}

std::vector<std::int64_t> Store::checkpoint_steps() const {
  std::vector<std::int64_t> steps;
  Cursor row = state_->database->kept("SELECT DISTINCT step FROM checkpoints ORDER BY step").rows();
  while (row.next()) steps.push_back(row.integer(0));
  return steps;
}

void Store::hold(const std::vector<Digest>& states) {
  state_->held.insert(states.begin(), states.end());
}

void Store::release(const std::vector<Digest>& still) {
  auto held = std::exchange(state_->held, {});
  for (const Digest& digest : still) held.erase(digest);
  if (held.empty()) return;
  state_->in_batch([&] {
    std::vector<std::int64_t> states;
    for (const Digest& digest : held) {
      Cursor row = state_->database->kept("SELECT id FROM states WHERE digest = ?").rows(digest);
      if (row.next()) states.push_back(row.integer(0));
    }
    state_->remove_unwanted(states);
  });
}

void Store::forget(const Digest& state) {
  state_->in_batch([&] {
    Cursor row = state_->database->kept("SELECT id FROM states WHERE digest = ?").rows(state);
    if (row.next()) state_->remove_checkpoint(row.integer(0));
  });
}

}  // namespace perturb
