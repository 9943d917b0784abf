// The results database: a directory with results.db, or the same in memory. Knows digests,
// records and SQL; nothing of how trials are made or carried out. docs/store.md is its
// contract with users, schema.sql its layout.
//
// Law 6: nothing is half there. A record is stored in one transaction or not at all; what was
// acknowledged survives a crash; there is one writer, and any number of readers beside it.
#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <variant>
#include <vector>

#include "perturb/core/digest.h"
#include "perturb/core/value.h"
#include "perturb/store/blobs.h"
#include "perturb/store/record.h"

namespace perturb {

/// One trial's place in an experiment.
struct Member {
  std::int64_t number = 0;   ///< position in the experiment
  std::int64_t control = 0;  ///< the number of its control; its own for a control
  std::int64_t variation = 0;
  std::string intervention;  ///< label; "control" for the control
  Digest trial;
  std::string condition;           ///< JSON of the variation's condition
  std::string operations;          ///< JSON of the resolved operations; "[]" for the control
  std::string ingredients = "{}";  ///< JSON of what else its identity is made of, as texts
  /// Steps asked for. States beyond them, which another experiment may have had measured, are
  /// not shown as this one's. None: no limit.
  std::optional<std::int64_t> steps;
  /// A column each in the views: all fields of the condition, and what the intervention set.
  /// Names are [a-z0-9_.-]{1,64} and none of the views' own; of two with one name the later counts.
  std::vector<std::pair<std::string, Value>> factors;
  /// Metric definitions that are relative, with the trial that this one is compared with.
  std::vector<std::pair<Digest, Digest>> comparisons;
};

struct MetricRow {
  Digest definition;
  std::string name;        ///< "test.accuracy"
  std::string parameters;  ///< JSON of kind, parameters and revision
  bool relative = false;   ///< compares with another trial; members say with which
};

/// Which checkpoints an experiment wants kept. Of several experiments, the one that wants most
/// decides.
enum class Retention {
  None = 0,  ///< of a trial that is done, none; before, the newest
  Last = 1,  ///< the newest of every trial
  All = 2,
};

struct ExperimentRow {
  std::string name;
  std::string description;
  std::string source;  ///< the file's text, for provenance
  Digest digest;       ///< of all members, metrics and factors, so that an unchanged one is seen
  std::int64_t members = 0;
  std::vector<MetricRow> metrics;
  Retention retention = Retention::Last;
  /// States of other experiments' trials that its trials begin with. Their checkpoints stay as long
  /// as it is declared so.
  std::vector<Digest> needs;
};

/// Who ran, where and with what; law 3's fingerprint.
struct RunRow {
  std::string experiment;
  std::string command;
  std::string version;
  std::string fingerprint;  ///< JSON: LibTorch, BLAS, CPU capability, device, threads
};
using RunId = std::int64_t;

/// What the store holds of one trial.
struct Known {
  /// Of the latest attempt. But an interruption never hides an outcome that there was, and an
  /// attempt that was done never hides that a longer one ended otherwise.
  Outcome outcome = Outcome::Interrupted;
  std::int64_t step = 0;   ///< how far that attempt got; for a failure, the step that failed
  std::int64_t done = -1;  ///< the furthest step of an attempt that was done; -1: none was
  std::string message;
  double seconds = 0;        ///< of all attempts together
  std::int64_t trained = 0;  ///< optimizer steps, likewise
  /// (step, metric definition) pairs measured; metrics by index into the list that was asked for.
  /// Without what was compared with other trials.
  std::vector<std::pair<std::int64_t, std::uint32_t>> measured;
};

/// A trial that was carried out at least in part, as it was declared.
struct StoredTrial {
  Digest trial;
  Outcome outcome = Outcome::Interrupted;
  std::int64_t step = 0;
  std::string experiment;   ///< one that has it; empty when none has any more
  std::int64_t number = 0;  ///< its place there
  std::string condition;    ///< JSON, as in Member, like the next two
  std::string operations;
  std::string ingredients;
};

/// A trial that a record is about.
struct Share {
  Digest trial;
  bool over = true;  ///< the record's outcome is the trial's; otherwise more is to come
};

/// A state that a trial goes through.
struct StateAt {
  std::int64_t step = 0;
  double epoch = 0;
  Digest state;
};

struct Checkpoint {
  Digest blob;
  std::int64_t bytes = 0;
  std::int64_t step = 0;
};

/// What the store holds of one state: it was reached, or there would be nothing.
struct KnownState {
  std::optional<Checkpoint> checkpoint;
  std::vector<std::uint32_t> metrics;  ///< measured; by index into the list that was asked for
  /// Measured in comparison with another state, likewise.
  std::vector<std::pair<std::uint32_t, Digest>> compared;
};

/// A cell of an answer, of the type that SQLite gives it; monostate is null. A metric that is
/// NaN is null, infinities are doubles. Blobs are text, in hexadecimal.
using Cell = std::variant<std::monostate, std::int64_t, double, std::string>;
struct Table {
  std::vector<std::string> columns;
  std::vector<std::vector<Cell>> rows;
};

/// An answer that is too long to hold: `columns` is called once, `row` for every row until it
/// returns false.
struct RowReader {
  std::function<void(const std::vector<std::string>&)> columns;
  std::function<bool(const std::vector<Cell>&)> row;
};

/// Used by one thread at a time; `interrupt` alone may come from others.
class Store {
 public:
  enum class Access {
    Read,
    Write,
    Remove,  ///< like Write, on a disk that may be full: the folder's reserve is given up first
  };

  /// Whether there is a store in `folder`, whatever state it is in.
  static bool exists(const std::filesystem::path& folder);
  /// Opens (unless to read: creates and migrates) the store in `folder`. Errors: Usage when there
  /// is none to read; Locked, which names the holder; Store for a damaged or newer database; Disk.
  /// Read never waits for the writer, and changes nothing.
  static Store open(const std::filesystem::path& folder, Access access);
  /// The same tables without a file, for tests and for `plan` where there is no store yet.
  static Store in_memory();
  Store(Store&&) noexcept;
  Store& operator=(Store&&) noexcept;
  /// Flushes if it can. What has to be known to be safe is flushed before.
  ~Store();

  /// Makes the experiment's members exactly what `next` yields (called until it gives nothing).
  /// Results of trials that are no longer members stay. Does nothing when an experiment of that
  /// name has this digest already. Durable when it returns; nothing has changed when it throws.
  void declare(const ExperimentRow& experiment, const std::function<std::optional<Member>()>& next);

  /// Durable when they return, like `end_run`.
  RunId begin_run(const RunRow& run);
  /// `outcome`: done, failed, interrupted. A run that ends without this is found by the next
  /// writer, and then called "died".
  void end_run(RunId run, std::string_view outcome);

  /// Stores a record, whole or not at all, as part of a batch: one sync of the disk pays for
  /// many records. The batch is committed by the first `keep` that ends 100 ms after it began,
  /// and by `flush`; only then do readers see it and does it survive a crash. Whatever throws
  /// Error(Disk) has lost the batch, and so will every later call: open the store anew.
  ///
  /// The record is about all `shares`: each goes through the states in it. Merges with what is
  /// there. A value that (state, metric) has already stays; one that differs is counted in
  /// `runs.conflicts`, since by law 3 it cannot. See Known for outcomes. Blobs of checkpoints are
  /// made durable before the batch is committed, and those that newer ones replace (Retention) are
  /// removed after it.
  void keep(RunId run, const Record& record, const std::vector<Share>& shares);
  void keep(RunId run, const Record& record) { keep(run, record, {{record.trial, true}}); }
  /// The trial goes through these states, which the store has from others; with `done`, as far as
  /// that. Part of the batch, like `keep`.
  void adopt(RunId run, const Digest& trial, const std::vector<StateAt>& states,
             std::optional<std::int64_t> done);
  /// Makes durable what was kept. Call it whenever there is nothing else to do, and at the end.
  void flush();

  /// What is known of each trial that has at least a record; `metrics` gives the indices used
  /// in Known::measured. Trials unknown to the store are absent.
  std::unordered_map<Digest, Known> known(const std::vector<Digest>& trials,
                                          const std::vector<Digest>& metrics) const;

  /// What is known of each of these states; absent where nothing is.
  std::unordered_map<Digest, KnownState> states(const std::vector<Digest>& states,
                                                const std::vector<Digest>& metrics) const;
  /// Calls `take` with every declared trial that there is an outcome of.
  void each_trial(const std::function<void(const StoredTrial&)>& take) const;
  /// Whether any state is known.
  bool has_states() const;
  /// The steps at which any checkpoint was made, in order.
  std::vector<std::int64_t> checkpoint_steps() const;
  /// Checkpoints of these states are not removed before `release`, whatever replaces them.
  void hold(const std::vector<Digest>& states);
  /// All but `still`, of which what has to be held is held again by whoever goes on.
  void release(const std::vector<Digest>& still = {});
  /// Forgets a checkpoint that cannot be read. Part of the batch.
  void forget(const Digest& state);

  /// Median seconds of a step over done trials whose condition has these values; 0 if none.
  double seconds_per_step(std::string_view model_kind, std::string_view data_kind) const;

  /// Answers one SELECT. Anything that writes, several statements and wrong SQL are Error(Usage).
  Table query(const std::string& sql, const std::vector<Value>& arguments = {}) const;
  void query(const std::string& sql, const std::vector<Value>& arguments,
             const RowReader& reader) const;
  /// Ends a query that is under way with Error(Interrupted). From any thread or signal handler.
  void interrupt() const noexcept;

  const std::filesystem::path& folder() const;
  /// Where checkpoints are. A store in memory has none.
  const Blobs& blobs() const;

 private:
  friend class Upkeep;
  struct State;
  explicit Store(std::unique_ptr<State> state);
  std::unique_ptr<State> state_;
};

}  // namespace perturb
