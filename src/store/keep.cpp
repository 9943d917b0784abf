#include <algorithm>
#include <exception>
#include <optional>

#include <fmt/format.h>

#include "perturb/core/error.h"
#include "store/state.h"

namespace perturb {

namespace {

// A sync of the disk takes some 4 ms: at this pace it costs a twentieth of a second's work, and
// a crash loses no more than the trials of a tenth of a second.
constexpr std::chrono::milliseconds kBatch{100};

struct Stored {
  std::int64_t id = 0;
  std::optional<Outcome> outcome;
  std::int64_t step = 0;
};

std::optional<Stored> find_trial(const Database& database, const Digest& trial) {
  Cursor row =
      database.kept("SELECT id, outcome, step FROM all_trials WHERE digest = ?").rows(trial);
  if (!row.next()) return std::nullopt;
  Stored stored;
  stored.id = row.integer(0);
  if (!row.null(1)) stored.outcome = outcome_from(row.text(1));
  stored.step = row.integer(2);
  return stored;
}

/// Whether the record's outcome takes the place of the stored one; see Known::outcome.
bool replaces(const Record& record, const Stored& stored) {
  if (!stored.outcome) return true;
  if (record.outcome == Outcome::Interrupted)
    return stored.outcome == Outcome::Interrupted && record.step >= stored.step;
  if (stored.outcome == Outcome::Interrupted) return true;
  // A failure is always news, even of what was done before.
  return record.outcome != Outcome::Done || record.step >= stored.step;
}

std::int64_t keep_outcome(const Database& database, RunId run, const Record& record) {
  std::optional<Stored> stored = find_trial(database, record.trial);
  if (!stored) {
    database.kept("INSERT INTO all_trials (digest) VALUES (?)").run(record.trial);
    stored.emplace().id = database.last_row();
  }
  if (replaces(record, *stored)) {
    database.kept("UPDATE all_trials SET outcome = ?, step = ?, message = ?, run = ? WHERE id = ?")
        .run(name_of(record.outcome), record.step, record.message, run, stored->id);
  }
  std::optional<std::int64_t> done;
  if (record.outcome == Outcome::Done) done = record.step;
  database
      .kept(
          "UPDATE all_trials SET seconds = seconds + ?1, trained = trained + ?2, "
          "done = CASE WHEN ?3 > ifnull(done, -1) THEN ?3 ELSE done END WHERE id = ?4")
      .run(record.seconds, record.trained, done, stored->id);
  return stored->id;
}

std::int64_t state_id(const Database& database, const Digest& state) {
  database.kept("INSERT INTO states (digest) VALUES (?) ON CONFLICT (digest) DO NOTHING")
      .run(state);
  if (database.changes() == 1) return database.last_row();
  Cursor row = database.kept("SELECT id FROM states WHERE digest = ?").rows(state);
  row.next();
  return row.integer(0);
}

/// False when the trial has another state at that step, which then stays.
bool keep_state(const Database& database, std::int64_t trial, const Measured& measured,
                std::int64_t state) {
  database
      .kept(
          "INSERT INTO trial_states (trial, step, epoch, state) VALUES (?, ?, ?, ?) "
          "ON CONFLICT (trial, step) DO NOTHING")
      .run(trial, measured.step, measured.epoch, state);
  if (database.changes() == 1) return true;
  Cursor row = database.kept("SELECT state FROM trial_states WHERE trial = ? AND step = ?")
                   .rows(trial, measured.step);
  return row.next() && row.integer(0) == state;
}

/// False when another value is there already, which then stays.
bool keep_value(const Database& database, std::int64_t state, std::int64_t metric, double value) {
  // NaN becomes null.
  database
      .kept(
          "INSERT INTO measurements (state, metric, value) VALUES (?, ?, ?) "
          "ON CONFLICT (state, metric) DO NOTHING")
      .run(state, metric, value);
  if (database.changes() == 1) return true;
  Cursor row = database.kept("SELECT value FROM measurements WHERE state = ? AND metric = ?")
                   .rows(state, metric);
  if (!row.next()) return false;
  return row.null(0) ? value != value : row.real(0) == value;
}

}  // namespace

std::int64_t Store::State::metric(const Digest& definition) {
  if (const auto found = metric_ids.find(definition); found != metric_ids.end())
    return found->second;
  std::int64_t id = 0;
  {
    Cursor row = database->kept("SELECT id FROM metrics WHERE digest = ?").rows(definition);
    if (row.next()) id = row.integer(0);
  }
  if (id == 0) {
    database->kept("INSERT INTO metrics (digest, name, parameters) VALUES (?, '', '{}')")
        .run(definition);
    id = database->last_row();
  }
  metric_ids.emplace(definition, id);
  return id;
}

void Store::State::flush() {
  if (!batch) return;
  try {
    batch->commit();
  } catch (const Error& error) {
    // After a failed sync nobody knows what is on the disk, and later commits would go on as if
    // nothing had been.
    broken = error.what();
    batch.reset();
    throw;
  }
  batch.reset();
}

void Store::keep(RunId run, const Record& record) {
  State& state = *state_;
  state.check_writable();
  const Database& database = *state.database;
  if (!state.batch) {
    state.batch.emplace(database);
    state.batch_begin = std::chrono::steady_clock::now();
  }
  try {
    Savepoint whole(database);
    std::int64_t conflicts = 0;
    const std::int64_t trial = keep_outcome(database, run, record);
    const Measured* previous = nullptr;  // the metrics of one state come one after another
    std::int64_t at = 0;
    for (const Measured& measured : record.measured) {
      if (!previous || previous->state != measured.state || previous->step != measured.step) {
        at = state_id(database, measured.state);
        if (!keep_state(database, trial, measured, at)) ++conflicts;
      }
      previous = &measured;
      if (!keep_value(database, at, state.metric(measured.metric), measured.value)) ++conflicts;
    }
    if (conflicts > 0) {
      database.kept("UPDATE runs SET conflicts = conflicts + ? WHERE id = ?").run(conflicts, run);
    }
    whole.release();
  } catch (const std::exception& error) {
    state.metric_ids.clear();
    // Some errors, such as a full disk, make SQLite take back the whole batch.
    if (!database.in_transaction()) {
      state.broken = error.what();
      state.batch.reset();
    }
    throw;
  }
  if (std::chrono::steady_clock::now() - state.batch_begin >= kBatch) state.flush();
}

}  // namespace perturb
