#include "perturb/execute/run.h"

#include <set>
#include <unordered_map>
#include <utility>

namespace perturb {

namespace {

void count(RunCounts& counts, Outcome outcome) {
  switch (outcome) {
    case Outcome::Done:
      ++counts.done;
      return;
    case Outcome::Diverged:
      ++counts.diverged;
      return;
    case Outcome::Interrupted:
      ++counts.interrupted;
      return;
    case Outcome::Failed:
    case Outcome::Crashed:
    case Outcome::OutOfMemory:
    case Outcome::TimedOut:
      ++counts.failed;
      return;
  }
}

/// Which stages can begin: those whose parent is done, and whatever they wait for is over, in the
/// plan's order. A path is followed to
/// its end before the next is begun, since what goes on comes right after what it goes on from.
class Frontier {
 public:
  explicit Frontier(const Plan& plan)
      : children_(plan.stages.size()), waiting_(plan.stages.size()), left_(plan.stages.size()) {
    for (std::size_t number = 0; number < plan.stages.size(); ++number) {
      const Stage& stage = plan.stages[number];
      if (stage.parent != kNone) children_[stage.parent].push_back(number);
      for (const std::size_t other : stage.after) waiting_[other].push_back(number);
      left_[number] = (stage.parent != kNone ? 1 : 0) + stage.after.size();
      if (left_[number] == 0) ready_.insert(number);
    }
  }

  bool empty() const { return ready_.empty(); }
  std::size_t take() { return ready_.extract(ready_.begin()).value(); }
  /// The stage ended well: others go on from it.
  void done(std::size_t stage) {
    for (const std::size_t child : children_[stage]) release(child);
  }
  /// The stage ended, in whatever way. What waited for what it saves does without if need be.
  void over(std::size_t stage) {
    for (const std::size_t other : waiting_[stage]) release(other);
    waiting_[stage].clear();
  }
  /// The stage ended otherwise: what would have gone on from it never begins.
  void lost(std::size_t stage) {
    over(stage);
    for (const std::size_t child : children_[stage]) lost(child);
  }

 private:
  void release(std::size_t stage) {
    if (--left_[stage] == 0) ready_.insert(stage);
  }

  std::set<std::size_t> ready_;
  std::vector<std::vector<std::size_t>> children_;  // by stage: what goes on from it
  std::vector<std::vector<std::size_t>> waiting_;   // by stage: what waits until it is over
  std::vector<std::size_t> left_;                   // by stage: how much it waits for
};

class Run {
 public:
  Run(const Plan& plan, Executor& executor, const RunEvents& events, const std::atomic<bool>& stop,
      const RunOptions& options)
      : plan_(plan),
        executor_(executor),
        events_(events),
        stop_(stop),
        options_(options),
        frontier_(plan) {
    counts_.over.resize(plan.stages.size());
    for (const Stage& stage : plan.stages) {
      for (const std::size_t trial : stage.trials) ++unfinished_[trial].stages;
    }
  }

  RunCounts carry_out() {
    bool stopping = false;
    while (under_way_ > 0 || (!frontier_.empty() && !stopping)) {
      const bool failed = options_.fail_fast && counts_.failed + counts_.diverged > 0;
      if (!stopping && (stop_.load() || failed)) {
        stopping = true;
        executor_.stop();
        continue;
      }
      while (!stopping && !frontier_.empty() && executor_.room() > 0 && !stop_.load())
        start(frontier_.take());
      Event event;
      if (under_way_ > 0 && executor_.wait(options_.tick_milliseconds, event)) {
        take(event);
      } else if (events_.idle) {
        events_.idle();
      }
      if (events_.tick) events_.tick(executor_.running());
    }
    counts_.not_started = unfinished_.size();
    for (const auto& [trial, unfinished] : unfinished_) {
      if (unfinished.queued) ++counts_.left;
    }
    return std::move(counts_);
  }

 private:
  void start(std::size_t number) {
    const bool ahead = executor_.ahead();
    Assignment assignment = events_.assign(number, ahead ? nullptr : &saved_);
    ++under_way_;
    if (events_.started) events_.started(number);
    if (ahead) {
      // What waits for this one may go to the queue right behind it.
      frontier_.over(number);
      frontier_.done(number);
    }
    if (assignment.refused.empty()) {
      if (ahead) return executor_.start(job_ahead(plan_, number, std::move(assignment)));
      return executor_.start({.number = number, .assignment = std::move(assignment)});
    }
    Event event{.number = number, .record = {}};
    event.record.trial = assignment.trial.id;
    event.record.outcome = Outcome::Failed;
    event.record.step = assignment.begin;
    event.record.message = std::move(assignment.refused);
    take(event);
  }

  void take(const Event& event) {
    const Stage& stage = plan_.stages[event.number];
    const Record& record = event.record;
    if (event.left) {
      --under_way_;
      for (const std::size_t trial : stage.trials) {
        if (const auto found = unfinished_.find(trial); found != unfinished_.end())
          found->second.queued = true;
      }
      return;
    }
    counts_.steps += record.trained;
    if (record.start_lost) {
      --under_way_;
      counts_.lost.push_back(event.number);
      if (!executor_.ahead()) frontier_.lost(event.number);
      return;
    }
    for (const Saved& saved : record.saved) saved_.insert_or_assign(saved.state, saved.blob);
    events_.keep(event.number, record, shares(stage, record));
    for (const std::size_t trial : stage.trials) {
      if (const auto found = unfinished_.find(trial); found != unfinished_.end())
        found->second.seconds += record.seconds;
    }
    if (!event.over) return;
    --under_way_;
    counts_.over[event.number] = record.outcome == Outcome::Done;
    if (!executor_.ahead()) {
      if (record.outcome == Outcome::Done) {
        frontier_.over(event.number);
        frontier_.done(event.number);
      } else {
        frontier_.lost(event.number);
      }
    }
    for (const std::size_t trial : stage.trials) tell(trial, record);
  }

  std::vector<Share> shares(const Stage& stage, const Record& record) const {
    std::vector<Share> shares;
    shares.reserve(stage.trials.size());
    for (const std::size_t trial : stage.trials) {
      const Planned& planned = plan_.trials[trial];
      // What ends a stage otherwise than well ends whatever would have gone on from it.
      const bool over = record.outcome != Outcome::Done || record.step == planned.end;
      shares.push_back({planned.trial, over});
    }
    return shares;
  }

  void tell(std::size_t trial, const Record& record) {
    const auto found = unfinished_.find(trial);
    if (found == unfinished_.end()) return;  // it has failed already
    if (record.outcome == Outcome::Done && --found->second.stages > 0) return;
    const double seconds = found->second.seconds;
    unfinished_.erase(found);
    count(counts_, record.outcome);
    if (!events_.ended) return;
    Record last = record;
    last.seconds = seconds;
    events_.ended(trial, last);
  }

  const Plan& plan_;
  Executor& executor_;
  const RunEvents& events_;
  const std::atomic<bool>& stop_;
  const RunOptions& options_;
  Frontier frontier_;
  SavedStates saved_;
  /// Of a trial that is not over.
  struct Unfinished {
    std::size_t stages = 0;
    double seconds = 0;   ///< that its stages took until now
    bool queued = false;  ///< one of its stages was left to a queue
  };
  std::unordered_map<std::size_t, Unfinished> unfinished_;  // by trial
  std::size_t under_way_ = 0;
  RunCounts counts_;
};

}  // namespace

Job job_ahead(const Plan& plan, std::size_t number, Assignment assignment) {
  const Stage& stage = plan.stages[number];
  Job job{.number = number, .assignment = std::move(assignment)};
  if (stage.parent != kNone) job.parent = stage.parent;
  job.after = stage.after;
  job.trials.reserve(stage.trials.size());
  for (const std::size_t trial : stage.trials)
    job.trials.push_back({plan.trials[trial].trial, plan.trials[trial].end});
  return job;
}

RunCounts carry_out(const Plan& plan, Executor& executor, const RunEvents& events,
                    const std::atomic<bool>& stop, const RunOptions& options) {
  return Run(plan, executor, events, stop, options).carry_out();
}

}  // namespace perturb
