// A batch: stages that went to the queue together, as files in STORE/slurm/NAME that the owner of
// the store and the workers share. Knows files, nothing of Slurm.
//
//   batch.json               what it is; written before anything is submitted
//   job                      the number that Slurm gave it; missing: perhaps it was never submitted
//   cancelled                nobody is to try again
//   script.sh, logs/         for Slurm
//   tasks/N.task             the stages of a task
//   records/S.A.N[.last].rec what attempt A of stage S has done so far, all of it; N grows
//   credited                 what of it the store has counted as time
//
// and STORE/slurm/states/DIGEST, the blob of a state that some worker saved. Every file but the
// script, the logs and the job's number begins with the digest of the rest: half a file, or an old
// one under a new name, is seen to be none.
#pragma once

#include <cstddef>
#include <filesystem>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "perturb/execute/executor.h"
#include "perturb/store/store.h"

namespace perturb {

std::string sealed(std::string_view text);
/// Nothing when it is not there, or not whole.
std::optional<std::string> read_sealed(const std::filesystem::path& file);

/// All that an attempt has done so far, what it took over from an earlier one included; but time
/// and steps only its own.
struct LeftRecord {
  Record record;
  std::string fingerprint;  ///< of the numerics
  std::string host;
};
std::string to_text(const LeftRecord& left);

/// A stage as a task's file has it.
struct TaskStage {
  std::size_t number = 0;  ///< in its batch
  Assignment assignment;   ///< with the past of its trial, which names states
  std::vector<Passing> trials;
  /// "BATCH/NUMBER" of stages in other tasks that save what this one begins from or compares with.
  /// Without those that did not end well: of them nothing more is to come.
  std::vector<std::string> after;
  /// What another batch has done of it; lies among the records instead, as those of `kBefore`.
  std::optional<LeftRecord> before = {};
};
inline constexpr std::string_view kBefore = "before";  ///< no attempt
std::string to_text(const TaskStage& stage);

/// What the name of a record says.
struct RecordName {
  std::string file;
  std::size_t stage = 0;
  std::string attempt;
  std::size_t n = 0;
  bool last = false;
};
std::string file_name(const RecordName& name);
std::optional<RecordName> record_name(const std::string& file);

/// What is in batch.json.
struct BatchFacts {
  std::string name;  ///< the job's, of no other batch
  std::size_t tasks = 0;
  std::size_t stages = 0;
};

/// What the store has of an attempt, by "STAGE.ATTEMPT".
struct Credit {
  std::int64_t trained = 0;
  double seconds = 0;
  std::size_t taken = 0;  ///< one more than the number of the latest record; 0: none
};
using Credits = std::map<std::string, Credit>;
std::string credit_name(const RecordName& name);
std::string to_text(const Credits& credits);

/// What is new of an attempt, given what was counted before: as a record for the store.
Record uncredited(const LeftRecord& left, bool last, const Credit& credit);
/// Which trials such a record is about, and which of them it ends.
std::vector<Share> shares_of(const std::vector<Passing>& trials, const Record& record);

/// How far a stage is: by a record that ends it, else by that of the attempt that came furthest.
struct Standing {
  std::optional<LeftRecord> left;
  bool over = false;
};

class BatchFolder {
 public:
  explicit BatchFolder(std::filesystem::path folder) : folder_(std::move(folder)) {}

  const std::filesystem::path& path() const { return folder_; }
  std::string name() const { return folder_.filename().string(); }
  std::filesystem::path script() const { return folder_ / "script.sh"; }
  std::filesystem::path records() const { return folder_ / "records"; }
  std::filesystem::path log(std::size_t task) const;
  std::filesystem::path credited() const { return folder_ / "credited"; }
  std::filesystem::path task(std::size_t number) const;

  std::optional<BatchFacts> facts() const;
  void write(const BatchFacts& facts) const;
  std::optional<std::string> job() const;
  void write_job(const std::string& job) const;
  bool cancelled() const;
  void cancel() const;
  Credits credits() const;

  /// Nothing when the file is not there or not whole.
  std::optional<std::vector<TaskStage>> stages(std::size_t task) const;

  /// What lies in records/, in no order. Late on some file systems.
  std::vector<RecordName> list() const;
  /// Nothing when it is not there any more, or not whole yet.
  std::optional<LeftRecord> read(const RecordName& name) const;
  Standing standing(std::size_t stage) const;

 private:
  std::filesystem::path folder_;
};

std::filesystem::path slurm_folder(const std::filesystem::path& store);
/// Those of a store that are complete, in the order of their names.
std::vector<BatchFolder> batches_of(const std::filesystem::path& store);
/// Makes a new one with its folders.
BatchFolder make_batch(const std::filesystem::path& store);

/// The blob that a worker saved a state as, if it did; and what says so.
std::optional<Digest> saved_blob(const std::filesystem::path& store, const Digest& state);
void note_saved(const std::filesystem::path& store, const Saved& saved);

}  // namespace perturb
