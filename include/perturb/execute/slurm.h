// Stages on a cluster that Slurm keeps: the executor that hands them to it as job arrays, the
// worker that carries out a task of one, and what is left in between for whoever looks.
// docs/cluster.md is for users; docs/store.md says which files lie in the store's folder.
//
// Workers never open the database. They read a task's stages from a shared folder, take and leave
// checkpoints as blobs, and leave one record a stage, replaced by rename as the stage goes on.
// What came by rename counts; what Slurm says only decides how long to wait for it. An answer that
// is empty, late or an error means that nothing is known, never that a job is lost. To carry a
// stage out twice is waste, no harm: law 3 makes both the same.
#pragma once

#include <cstddef>
#include <filesystem>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "perturb/execute/executor.h"
#include "perturb/store/store.h"

namespace perturb {

/// See slurm_parameters() for the meaning of each; these have the same defaults.
struct SlurmOptions {
  std::string partition, account, qos, constraint, time, memory, gpus;
  std::size_t cpus = 1;
  std::vector<std::string> lines, modules, setup;
  std::string container;
  std::size_t array = 0;
  std::size_t tasks = 1000;
  std::size_t at_once = 0;
  std::size_t bundle = 1;
  Step bundle_steps = 0;
  int warning = 120;
  std::size_t retries = 2;
  double poll = 10;
  double patience = 60;

  /// The program with its arguments that a task runs; those that say which are added.
  std::vector<std::string> command;
  std::filesystem::path store;  ///< its folder, which all nodes see
  /// Lines for the user: what was submitted, what goes wrong. May be empty.
  std::function<void(const std::string&)> say = {};
  /// Told of the fingerprint of numerics that the next records were made with, whenever it is
  /// another one than before. May be empty.
  std::function<void(const std::string&)> numerics = {};
};

/// Takes stages ahead. Finds the jobs of a former run of the same store, goes on with those that
/// carry out what is started, and ends the others. When it is stopped or destroyed, jobs go on; a
/// batch whose every stage is over is removed by the destructor, so that what was given away has to
/// be durable by then. Throws Error when Slurm cannot be asked or refuses.
std::unique_ptr<Executor> slurm(SlurmOptions options);

/// The scripts that would be submitted for these jobs, and in how many tasks, as one text. Asks
/// Slurm for its limits if it can be asked, and changes nothing.
std::string slurm_scripts(const SlurmOptions& options, const std::vector<Job>& jobs);

/// What jobs of former runs left that nobody has taken yet, in one go; the caller makes it durable
/// and then calls `taken`. Unreadable files are left where they are.
class SlurmLeft {
 public:
  explicit SlurmLeft(std::filesystem::path store);
  /// What workers have saved: stages in the queue begin from it or compare with it, so that the
  /// store has to hold it before it keeps anything newer.
  std::vector<Digest> states() const;
  using Keep =
      std::function<void(const Record&, const std::vector<Share>&, const std::string& fingerprint)>;
  /// Calls `keep` for every record; returns how many there were.
  std::size_t each(const Keep& keep);
  void taken() const;

 private:
  struct Taken {
    std::filesystem::path file;
    std::string text;
  };
  std::filesystem::path store_;
  std::vector<Taken> taken_;
};

/// Whether jobs of former runs may still write to the store's folder. Looks at files only.
bool slurm_has_batches(const std::filesystem::path& store);

/// How the jobs stand that were submitted for a store.
struct SlurmQueue {
  std::vector<std::string> jobs;  ///< their numbers
  std::size_t pending = 0;        ///< tasks, as are the next three
  std::size_t running = 0;
  std::size_t ended = 0;
  std::size_t unknown = 0;
  std::size_t stages = 0;  ///< in all of them
  std::size_t over = 0;    ///< of these, with their last record
  std::string trouble;     ///< why the queue could not be asked; empty if it could
};
SlurmQueue slurm_queue(const std::filesystem::path& store);

/// Ends the jobs of a store that wait or run, for good: a run that watches them does not try
/// again. Returns their numbers. Throws Error when Slurm does not do it.
std::vector<std::string> slurm_cancel(const std::filesystem::path& store);

/// A task of an array, as the script calls its worker.
struct SlurmTask {
  std::filesystem::path store;
  std::filesystem::path batch;  ///< folder
  std::size_t number = 0;       ///< in the array
  std::string attempt;          ///< of no other process: [0-9A-Za-z_-]
  std::string fingerprint;      ///< of this process's numerics
};
/// Carries the task's stages out in this thread, going on from what an attempt before left. SIGUSR1
/// and SIGTERM stop it at the next step, with a checkpoint. Returns false if stages are left that
/// the same task can go on with. Once in a process. Throws Error when the task cannot be read or a
/// record not be written.
bool work_through(const SlurmTask& task, const Carry& carry);

/// What a worker ends with that was stopped with stages left (EX_TEMPFAIL of sysexits.h).
inline constexpr int kStagesLeft = 75;

}  // namespace perturb
