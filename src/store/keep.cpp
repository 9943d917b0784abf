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

Stored find_trial(const Database& database, std::int64_t id) {
  Stored stored;
  stored.id = id;
  Cursor row = database.kept("SELECT outcome, step FROM all_trials WHERE id = ?").rows(id);
  row.next();
  if (!row.null(0)) stored.outcome = outcome_from(row.text(0));
  stored.step = row.integer(1);
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

void keep_outcome(const Database& database, RunId run, const Record& record, std::int64_t trial) {
  if (replaces(record, find_trial(database, trial))) {
    database.kept("UPDATE all_trials SET outcome = ?, step = ?, message = ?, run = ? WHERE id = ?")
        .run(name_of(record.outcome), record.step, record.message, run, trial);
  }
  if (record.outcome != Outcome::Done) return;
  database.kept("UPDATE all_trials SET done = max(?, ifnull(done, -1)) WHERE id = ?")
      .run(record.step, trial);
}

/// What a process leaves that dies before its trial is over.
void keep_progress(const Database& database, RunId run, const Record& record, std::int64_t trial) {
  Record so_far;
  so_far.outcome = Outcome::Interrupted;
  so_far.step = record.step;
  keep_outcome(database, run, so_far, trial);
}

/// False when the trial has another state at that step, which then stays.
bool keep_state(const Database& database, std::int64_t trial, std::int64_t step, double epoch,
                std::int64_t state) {
  database
      .kept(
          "INSERT INTO trial_states (trial, step, epoch, state) VALUES (?, ?, ?, ?) "
          "ON CONFLICT (trial, step) DO NOTHING")
      .run(trial, step, epoch, state);
  if (database.changes() == 1) return true;
  Cursor row = database.kept("SELECT state FROM trial_states WHERE trial = ? AND step = ?")
                   .rows(trial, step);
  return row.next() && row.integer(0) == state;
}

/// False when another value is there already, which then stays.
bool keep_value(const Database& database, std::int64_t state, std::int64_t metric,
                std::int64_t reference, double value) {
  // NaN becomes null.
  database
      .kept(
          "INSERT INTO measurements (state, metric, reference, value) VALUES (?, ?, ?, ?) "
          "ON CONFLICT (state, metric, reference) DO NOTHING")
      .run(state, metric, reference, value);
  if (database.changes() == 1) return true;
  Cursor row =
      database
          .kept("SELECT value FROM measurements WHERE state = ? AND metric = ? AND reference = ?")
          .rows(state, metric, reference);
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

std::int64_t Store::State::trial(const Digest& digest) {
  {
    Cursor row = database->kept("SELECT id FROM all_trials WHERE digest = ?").rows(digest);
    if (row.next()) return row.integer(0);
  }
  database->kept("INSERT INTO all_trials (digest) VALUES (?)").run(digest);
  return database->last_row();
}

std::int64_t Store::State::state(const Digest& digest) {
  database->kept("INSERT INTO states (digest) VALUES (?) ON CONFLICT (digest) DO NOTHING")
      .run(digest);
  if (database->changes() == 1) return database->last_row();
  Cursor row = database->kept("SELECT id FROM states WHERE digest = ?").rows(digest);
  row.next();
  return row.integer(0);
}

void Store::State::settle_blobs() {
  // A twin of a blob, of another state with the same bytes, may have been removed after this one
  // was written: then there is no checkpoint after all.
  std::erase_if(new_blobs, [&](const Digest& blob) {
    if (blobs->size(blob)) return false;
    database->kept("DELETE FROM checkpoints WHERE blob = ?").run(blob);
    return true;
  });
  blobs->sync(new_blobs);
}

void Store::State::flush() {
  if (!batch) return;
  try {
    // Blob first, row second (law 6); and the other way round to remove one.
    if (blobs && !new_blobs.empty()) settle_blobs();
    batch->commit();
  } catch (const Error& error) {
    // After a failed sync nobody knows what is on the disk, and later commits would go on as if
    // nothing had been.
    broken = error.what();
    batch.reset();
    throw;
  }
  batch.reset();
  new_blobs.clear();
  for (const Digest& blob : std::exchange(old_blobs, {})) {
    if (blobs) blobs->remove(blob);
  }
}

void Store::State::in_batch(const std::function<void()>& work) {
  check_writable();
  if (!batch) {
    batch.emplace(*database);
    batch_begin = std::chrono::steady_clock::now();
  }
  const auto old_before = old_blobs.size();
  try {
    Savepoint whole(*database);
    work();
    whole.release();
  } catch (const std::exception& error) {
    metric_ids.clear();
    old_blobs.resize(old_before);
    // Some errors, such as a full disk, make SQLite take back the whole batch.
    if (!database->in_transaction()) {
      broken = error.what();
      batch.reset();
    }
    throw;
  }
  if (std::chrono::steady_clock::now() - batch_begin >= kBatch) flush();
}

void Store::keep(RunId run, const Record& record, const std::vector<Share>& shares) {
  State& store = *state_;
  const Database& database = *store.database;
  store.in_batch([&] {
    std::vector<std::int64_t> trials;
    bool over = false;
    for (const Share& share : shares) {
      trials.push_back(store.trial(share.trial));
      if (share.over) {
        keep_outcome(database, run, record, trials.back());
      } else {
        keep_progress(database, run, record, trials.back());
      }
      over = over || share.over;
    }
    database
        .kept("UPDATE all_trials SET seconds = seconds + ?, trained = trained + ? WHERE digest = ?")
        .run(record.seconds, record.trained, record.trial);

    std::int64_t conflicts = 0;
    const auto go_through = [&](const Digest& state, std::int64_t step, double epoch) {
      const std::int64_t id = store.state(state);
      for (const std::int64_t trial : trials) {
        if (!keep_state(database, trial, step, epoch, id)) ++conflicts;
      }
      return id;
    };
    const Measured* previous = nullptr;  // the metrics of one state come one after another
    std::int64_t at = 0;
    for (const Measured& measured : record.measured) {
      if (!previous || previous->state != measured.state || previous->step != measured.step)
        at = go_through(measured.state, measured.step, measured.epoch);
      previous = &measured;
      const std::int64_t reference = measured.reference ? store.state(*measured.reference) : 0;
      if (!keep_value(database, at, store.metric(measured.metric), reference, measured.value))
        ++conflicts;
    }
    for (const Saved& saved : record.saved)
      store.keep_checkpoint(run, saved, go_through(saved.state, saved.step, saved.epoch), trials);
    if (conflicts > 0) {
      database.kept("UPDATE runs SET conflicts = conflicts + ? WHERE id = ?").run(conflicts, run);
    }
    if (!record.saved.empty() || over) store.prune(trials);
  });
}

void Store::adopt(RunId run, const Digest& trial, const std::vector<StateAt>& states,
                  std::optional<std::int64_t> done) {
  State& store = *state_;
  const Database& database = *store.database;
  store.in_batch([&] {
    const std::int64_t id = store.trial(trial);
    for (const auto& [step, epoch, digest] : states) {
      const std::int64_t state = store.state(digest);
      keep_state(database, id, step, epoch, state);
      database
          .kept(
              "INSERT INTO checkpoint_trials (state, trial, step) "
              "SELECT state, ?, ? FROM checkpoints WHERE state = ? ON CONFLICT DO NOTHING")
          .run(id, step, state);
    }
    Record reached;
    reached.outcome = Outcome::Done;
    if (done) {
      reached.step = *done;
      keep_outcome(database, run, reached, id);
    }
  });
}

}  // namespace perturb
