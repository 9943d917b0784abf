#include "perturb/execute/run.h"

#include <set>
#include <unordered_map>

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

/// Which stages can begin: those whose parent is done, in the plan's order. A path is followed to
/// its end before the next is begun, since what goes on comes right after what it goes on from.
class Frontier {
 public:
  explicit Frontier(const Plan& plan) : children_(plan.stages.size()) {
    for (std::size_t number = 0; number < plan.stages.size(); ++number) {
      const std::size_t parent = plan.stages[number].parent;
      parent == kNone ? void(ready_.insert(number)) : children_[parent].push_back(number);
    }
  }

  bool empty() const { return ready_.empty(); }
  std::size_t take() { return ready_.extract(ready_.begin()).value(); }
  void done(std::size_t stage) { ready_.insert(children_[stage].begin(), children_[stage].end()); }

 private:
  std::set<std::size_t> ready_;
  std::vector<std::vector<std::size_t>> children_;
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
        frontier_(plan),
        handed_over_(plan.stages.size()) {
    for (const Stage& stage : plan.stages) {
      for (const std::size_t trial : stage.trials) ++stages_left_[trial];
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
    counts_.not_started = stages_left_.size();
    return std::move(counts_);
  }

 private:
  void start(std::size_t number) {
    const std::size_t parent = plan_.stages[number].parent;
    executor_.start(
        {number, events_.assign(number, parent == kNone ? std::nullopt : handed_over_[parent])});
    ++under_way_;
    if (events_.started) events_.started(number);
  }

  void take(const Event& event) {
    const Stage& stage = plan_.stages[event.number];
    const Record& record = event.record;
    counts_.steps += record.trained;
    if (record.start_lost) {
      --under_way_;
      counts_.lost.push_back(event.number);
      return;
    }
    events_.keep(event.number, record, shares(stage, record));
    if (!event.over) return;
    --under_way_;
    if (record.outcome == Outcome::Done) {
      if (!record.saved.empty() && record.saved.back().step == stage.end)
        handed_over_[event.number] = record.saved.back().blob;
      frontier_.done(event.number);
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
    const auto left = stages_left_.find(trial);
    if (left == stages_left_.end()) return;  // it has failed already
    if (record.outcome == Outcome::Done && --left->second > 0) return;
    stages_left_.erase(left);
    count(counts_, record.outcome);
    if (events_.ended) events_.ended(trial, record);
  }

  const Plan& plan_;
  Executor& executor_;
  const RunEvents& events_;
  const std::atomic<bool>& stop_;
  const RunOptions& options_;
  Frontier frontier_;
  std::vector<std::optional<Digest>> handed_over_;            // by stage
  std::unordered_map<std::size_t, std::size_t> stages_left_;  // by trial
  std::size_t under_way_ = 0;
  RunCounts counts_;
};

}  // namespace

RunCounts carry_out(const Plan& plan, Executor& executor, const RunEvents& events,
                    const std::atomic<bool>& stop, const RunOptions& options) {
  return Run(plan, executor, events, stop, options).carry_out();
}

}  // namespace perturb
