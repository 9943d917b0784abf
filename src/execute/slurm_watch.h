// A batch as its owner watches it: which of its stages anybody waits for, what its records say that
// was not said before, and how its tasks stand in the queue.
#pragma once

#include <cstddef>
#include <limits>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "execute/slurm_batch.h"
#include "execute/slurm_commands.h"

namespace perturb {

/// What is new of a stage.
struct News {
  Record record;  ///< for the store
  bool last = false;
  Step came_to = 0;
  std::string fingerprint;
  /// Nothing that the store would have to know.
  bool empty() const { return !last && record.measured.empty() && record.saved.empty(); }
};

class WatchedBatch {
 public:
  static constexpr std::size_t kNobody = std::numeric_limits<std::size_t>::max();

  struct Task {
    std::vector<std::size_t> places;  ///< of its stages that somebody waits for, or did
    QueuedTask how;
    std::optional<double> ended;  ///< when that was first heard
  };

  WatchedBatch(BatchFolder folder, const BatchFacts& facts);

  const BatchFolder& folder() const { return folder_; }
  const std::string& job_name() const { return facts_.name; }
  /// None: nobody knows whether it was submitted.
  const std::optional<std::string>& job() const { return job_; }
  void set_job(const std::string& job);
  /// For messages.
  std::string task_name(std::size_t task) const;

  /// Somebody waits for the stage at `place`, and calls it `number`.
  void wait_for(std::size_t task, std::size_t place, std::size_t number);
  /// Nobody does any more.
  void let_go(std::size_t place) { number_of_[place] = kNobody; }
  /// What it is called by whoever waits for it, if it is a stage at all.
  std::size_t number_of(std::size_t place) const {
    return place < number_of_.size() ? number_of_[place] : kNobody;
  }
  bool is_awaited() const;
  /// Places of the task's stages that somebody waits for, in order.
  std::vector<std::size_t> awaited(const Task& task) const;

  /// What a record says of a stage of this trial that was not said before; nothing when it is old,
  /// not whole yet, or another trial's.
  std::optional<News> news(const RecordName& name, const Digest& trial);
  /// Everything that was told is in the store: its time is not to be counted again.
  void write_credits();

  std::vector<Task>& tasks() { return tasks_; }
  const std::vector<Task>& tasks() const { return tasks_; }
  /// Takes over what the queue says of the tasks, and asks after those that it does not show. A
  /// task has ended only if somebody says so.
  void update(const Queue& queue, double now);

 private:
  /// What has been told of an attempt.
  struct Told {
    std::size_t next = 0;  ///< of the records, by number
    std::size_t measured = 0;
    std::size_t saved = 0;
  };

  BatchFolder folder_;
  BatchFacts facts_;
  std::optional<std::string> job_;
  std::vector<Task> tasks_;
  std::vector<std::size_t> number_of_;  // by place
  std::map<std::string, Told> told_;    // by "STAGE.ATTEMPT", like the credits
  std::set<std::string> foreign_;       // files that are no record of ours
  Credits credits_;
  bool new_credits_ = false;
};

}  // namespace perturb
