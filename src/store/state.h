// What an open store consists of. Private to src/store: its parts are spread over store.cpp
// (open, runs), declare.cpp, keep.cpp, known.cpp, query.cpp and upkeep.cpp.
#pragma once

#include <chrono>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <unordered_map>
#include <unordered_set>
#include <vector>

#include "perturb/core/digest.h"
#include "perturb/core/files.h"
#include "perturb/store/store.h"
#include "store/sqlite.h"

namespace perturb {

struct Store::State {
  std::filesystem::path folder;
  std::optional<FileLock> lock;  // let go only after the database is closed
  std::unique_ptr<Database> database;
  bool writable = false;

  // Records that were kept but not committed yet.
  std::optional<Transaction> batch;
  std::chrono::steady_clock::time_point batch_begin;
  // Why the store takes nothing more; empty while it does.
  std::string broken;

  std::optional<Blobs> blobs;
  // Written by the batch's checkpoints: to be on the disk before their rows are.
  std::vector<Digest> new_blobs;
  // Of checkpoints that the batch removes: to go after their rows have gone.
  std::vector<Digest> old_blobs;
  // Checkpoints of these are not removed.
  std::unordered_set<Digest> held;

  // Ids of metrics by definition; forgotten when what may have made them is rolled back.
  std::unordered_map<Digest, std::int64_t> metric_ids;

  ~State();

  /// Throws unless the store may be written to.
  void check_writable() const;
  void flush();
  /// Runs `work` as a part of the batch, whole or not at all.
  void in_batch(const std::function<void()>& work);
  /// Runs `work` in a transaction of its own, after the batch.
  void write(const std::function<void()>& work);
  /// The metric of that definition, which is made, without a name, if it is new.
  std::int64_t metric(const Digest& definition);
  /// The trial of that digest, which is made, undeclared, if it is new.
  std::int64_t trial(const Digest& digest);
  std::int64_t state(const Digest& digest);
  void keep_checkpoint(RunId run, const Saved& saved, std::int64_t state,
                       const std::vector<std::int64_t>& trials);
  /// Whether any experiment wants the checkpoint of that state, because its trials begin with it or
  /// go through it; see Retention.
  bool wanted(std::int64_t state) const;
  /// Removes the trials' checkpoints that nobody wants any more.
  void prune(const std::vector<std::int64_t>& trials);
  void remove_unwanted(const std::vector<std::int64_t>& states);
  void remove_checkpoint(std::int64_t state);
  /// Makes the batch's blobs durable.
  void settle_blobs();
  void declare_metrics(std::int64_t experiment, const std::vector<MetricRow>& metrics);
  void declare_needs(std::int64_t experiment, const std::vector<Digest>& needs);
};

}  // namespace perturb
