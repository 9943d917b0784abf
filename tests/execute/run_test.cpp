#include "perturb/execute/run.h"

#include <algorithm>
#include <atomic>
#include <condition_variable>
#include <map>
#include <mutex>
#include <set>
#include <stdexcept>
#include <thread>

#include <doctest/doctest.h>

namespace {

using namespace perturb;

/// In these tests a stage's number travels in a field that no fake looks at otherwise.
Assignment numbered(std::size_t stage) {
  Assignment assignment;
  assignment.examples = static_cast<std::int64_t>(stage);
  return assignment;
}
std::size_t number_of(const Assignment& assignment) {
  return static_cast<std::size_t>(assignment.examples);
}

/// A trainer that records what it was asked for and ends as it was told to.
class FakeTrainer {
 public:
  explicit FakeTrainer(std::function<Outcome(std::size_t)> outcome =
                           [](std::size_t) { return Outcome::Done; })
      : outcome_(std::move(outcome)) {}

  Carry carry() {
    return [this](const Assignment& stage, Progress& progress, const auto&) {
      const std::size_t number = number_of(stage);
      {
        const std::lock_guard lock(mutex_);
        called_.push_back(number);
        ++inside_;
        most_inside_ = std::max(most_inside_, inside_);
      }
      arrived_.notify_all();
      Record record;
      record.outcome = outcome_(number);
      if (progress.stop.load()) record.outcome = Outcome::Interrupted;
      const std::lock_guard lock(mutex_);
      --inside_;
      return record;
    };
  }

  /// A trial that trains until it is asked to stop.
  Carry endless() {
    return [this](const Assignment& stage, Progress& progress, const auto&) {
      {
        const std::lock_guard lock(mutex_);
        called_.push_back(number_of(stage));
      }
      arrived_.notify_all();
      while (!progress.stop.load()) {
        progress.step.fetch_add(1);
        std::this_thread::yield();
      }
      Record record;
      record.outcome = Outcome::Interrupted;
      record.step = progress.step.load();
      return record;
    };
  }

  void wait_for_calls(std::size_t n) {
    std::unique_lock lock(mutex_);
    arrived_.wait(lock, [&] { return called_.size() >= n; });
  }

  std::vector<std::size_t> called() {
    const std::lock_guard lock(mutex_);
    return called_;
  }
  std::size_t most_inside() {
    const std::lock_guard lock(mutex_);
    return most_inside_;
  }

 private:
  std::function<Outcome(std::size_t)> outcome_;
  std::mutex mutex_;
  std::condition_variable arrived_;
  std::vector<std::size_t> called_;
  std::size_t inside_ = 0;
  std::size_t most_inside_ = 0;
};

/// `n` trials of a stage each, which nothing connects.
Plan separate(std::size_t n) {
  Plan plan;
  for (std::size_t number = 0; number < n; ++number) {
    plan.trials.push_back({});
    plan.stages.push_back({.trial = number, .trials = {number}});
  }
  return plan;
}

/// Keeps the numbers of the records that it was handed.
struct Kept {
  std::vector<std::size_t> numbers;  // of stages
  std::vector<std::size_t> shared;   // by how many trials each
  RunEvents events() {
    RunEvents events;
    events.assign = [](std::size_t stage, const auto&) { return numbered(stage); };
    events.keep = [this](std::size_t stage, const Record&, const std::vector<Share>& shares) {
      numbers.push_back(stage);
      shared.push_back(shares.size());
    };
    return events;
  }
};

}  // namespace

TEST_CASE("one worker carries everything out in order, each trial once") {
  FakeTrainer trainer;
  Kept kept;
  const auto executor = pool(trainer.carry(), 1);
  const RunCounts counts = carry_out(separate(4), *executor, kept.events(), false);
  CHECK(trainer.called() == std::vector<std::size_t>{0, 1, 2, 3});
  CHECK(kept.numbers == std::vector<std::size_t>{0, 1, 2, 3});
  CHECK(trainer.most_inside() == 1);
  CHECK(counts.done == 4);
  CHECK(counts.not_started == 0);
}

TEST_CASE("many workers carry each trial out once and never more than there are workers") {
  for (const std::size_t workers : {2u, 3u, 16u}) {
    FakeTrainer trainer;
    Kept kept;
    const auto executor = pool(trainer.carry(), workers);
    const RunCounts counts = carry_out(separate(300), *executor, kept.events(), false);
    CHECK(counts.done == 300);
    CHECK(trainer.most_inside() <= workers);
    CHECK(std::set<std::size_t>(kept.numbers.begin(), kept.numbers.end()).size() == 300);
    CHECK(trainer.called().size() == 300);
  }
}

TEST_CASE("workers work side by side") {
  // Three trials that each wait until all three are under way: with fewer at once it hangs.
  std::mutex mutex;
  std::condition_variable changed;
  int under_way = 0;
  const Carry carry = [&](const Assignment&, Progress&, const auto&) {
    std::unique_lock lock(mutex);
    ++under_way;
    changed.notify_all();
    changed.wait(lock, [&] { return under_way == 3; });
    return Record{.outcome = Outcome::Done};
  };
  Kept kept;
  const auto executor = pool(carry, 3);
  CHECK(carry_out(separate(3), *executor, kept.events(), false).done == 3);
}

TEST_CASE("a trial that fails is recorded and stops nothing else") {
  FakeTrainer trainer([](std::size_t number) {
    return number == 1 ? Outcome::Failed : number == 2 ? Outcome::Diverged : Outcome::Done;
  });
  Kept kept;
  const auto executor = pool(trainer.carry(), 2);
  const RunCounts counts = carry_out(separate(6), *executor, kept.events(), false);
  CHECK(counts.done == 4);
  CHECK(counts.failed == 1);
  CHECK(counts.diverged == 1);
  CHECK(kept.numbers.size() == 6);
}

TEST_CASE("fail-fast starts nothing after the first failure, and stops what is under way") {
  FakeTrainer trainer(
      [](std::size_t number) { return number == 2 ? Outcome::Diverged : Outcome::Done; });
  Kept kept;
  const auto executor = pool(trainer.carry(), 1);
  const RunCounts counts =
      carry_out(separate(10), *executor, kept.events(), false, {.fail_fast = true});
  CHECK(trainer.called() == std::vector<std::size_t>{0, 1, 2});
  CHECK(counts.not_started == 7);
  CHECK(kept.numbers.size() == 3);
}

TEST_CASE("a stop ends what is under way at its next step, and its records are kept") {
  FakeTrainer trainer;
  Kept kept;
  std::atomic<bool> stop{false};
  const auto executor = pool(trainer.endless(), 2);
  std::thread user([&] {
    trainer.wait_for_calls(2);
    stop.store(true);
  });
  const RunCounts counts = carry_out(separate(5), *executor, kept.events(), stop);
  user.join();
  CHECK(counts.interrupted == 2);
  CHECK(counts.not_started == 3);
  CHECK(kept.numbers.size() == 2);
}

TEST_CASE("a stop before the start carries nothing out") {
  FakeTrainer trainer;
  Kept kept;
  const auto executor = pool(trainer.carry(), 2);
  CHECK(carry_out(separate(5), *executor, kept.events(), true).not_started == 5);
  CHECK(trainer.called().empty());
}

TEST_CASE("a record that cannot be kept ends the run, and no worker is left behind") {
  FakeTrainer trainer;
  RunEvents events = Kept().events();
  events.keep = [](auto&&...) { throw std::runtime_error("disk full"); };
  {
    const auto executor = pool(trainer.carry(), 2);
    CHECK_THROWS_WITH(carry_out(separate(100), *executor, events, false), "disk full");
  }
  CHECK(trainer.called().size() < 100);
}

TEST_CASE("whoever destroys a pool stops its trials") {
  FakeTrainer trainer;
  {
    const auto executor = pool(trainer.endless(), 1);
    executor->start({7, numbered(7)});
    trainer.wait_for_calls(1);
    CHECK(executor->room() == 0);
  }
  CHECK(trainer.called() == std::vector<std::size_t>{7});
}

TEST_CASE("what is under way can be watched") {
  FakeTrainer trainer;
  const auto executor = pool(trainer.endless(), 2);
  executor->start({4, numbered(4)});
  trainer.wait_for_calls(1);
  const std::vector<Running> running = executor->running();
  REQUIRE(running.size() == 1);
  CHECK(running[0].number == 4);
  CHECK(executor->room() == 1);
  executor->stop();
  Event event;
  while (!executor->wait(1000, event)) {
  }
  CHECK(event.number == 4);
  CHECK(event.over);
  CHECK(event.record.outcome == Outcome::Interrupted);
  CHECK(executor->running().empty());
  CHECK(executor->room() == 2);
}

TEST_CASE("events come in the thread that carries out, the start before the end") {
  FakeTrainer trainer;
  std::vector<std::string> log;
  const auto here = std::this_thread::get_id();
  RunEvents events = Kept().events();
  events.started = [&](std::size_t stage) {
    CHECK(std::this_thread::get_id() == here);
    log.push_back("start " + std::to_string(stage));
  };
  events.keep = [&](std::size_t stage, const Record&, const std::vector<Share>&) {
    CHECK(std::this_thread::get_id() == here);
    log.push_back("keep " + std::to_string(stage));
  };
  events.ended = [&](std::size_t trial, const Record&) {
    log.push_back("end " + std::to_string(trial));
  };
  const auto executor = pool(trainer.carry(), 1);
  carry_out(separate(2), *executor, events, false);
  CHECK(log ==
        std::vector<std::string>{"start 0", "keep 0", "end 0", "start 1", "keep 1", "end 1"});
}

namespace {

/// Stage 0 is shared by three trials: 1 goes on from it for trials 0 and 1, 2 for trial 2; 3 goes
/// on from 1 for trial 1.
Plan forked() {
  Plan plan;
  plan.trials = {{.end = 20}, {.end = 30}, {.end = 20}};
  plan.stages = {
      {.trial = 0, .end = 10, .trials = {0, 1, 2}, .heirs = 2},
      {.trial = 0, .parent = 0, .begin = 10, .end = 20, .trials = {0, 1}, .heirs = 1},
      {.trial = 2, .parent = 0, .begin = 10, .end = 20, .trials = {2}},
      {.trial = 1, .parent = 1, .begin = 20, .end = 30, .trials = {1}},
  };
  return plan;
}

/// Ends every stage well, but those of which it is said otherwise.
Carry stages(std::map<std::size_t, Outcome> otherwise = {}) {
  return [=](const Assignment& stage, Progress&, const auto&) {
    const auto found = otherwise.find(number_of(stage));
    Record record;
    record.outcome = found == otherwise.end() ? Outcome::Done : found->second;
    record.step = forked().stages[number_of(stage)].end;
    record.seconds = static_cast<double>(number_of(stage)) + 1;
    return record;
  };
}

}  // namespace

TEST_CASE("a stage begins when what it goes on from is done, and a path is followed to its end") {
  Kept kept;
  const auto executor = pool(stages(), 1);
  const RunCounts counts = carry_out(forked(), *executor, kept.events(), false);
  CHECK(kept.numbers == std::vector<std::size_t>{0, 1, 2, 3});
  CHECK(kept.shared == std::vector<std::size_t>{3, 2, 1, 1});
  CHECK(counts.done == 3);
  CHECK(counts.not_started == 0);
}

TEST_CASE("a trial is over with its last stage, and only then") {
  RunEvents events = Kept().events();
  std::vector<std::pair<std::size_t, std::vector<bool>>> over;
  events.keep = [&](std::size_t stage, const Record&, const std::vector<Share>& shares) {
    over.emplace_back(stage, std::vector<bool>());
    for (const Share& share : shares) over.back().second.push_back(share.over);
  };
  // With what all of its stages took.
  std::vector<std::pair<std::size_t, double>> ended;
  events.ended = [&](std::size_t trial, const Record& last) {
    ended.emplace_back(trial, last.seconds);
  };
  const auto executor = pool(stages(), 1);
  carry_out(forked(), *executor, events, false);
  CHECK(ended ==
        std::vector<std::pair<std::size_t, double>>{{0, 1 + 2}, {2, 1 + 3}, {1, 1 + 2 + 4}});
  CHECK(over == std::vector<std::pair<std::size_t, std::vector<bool>>>{
                    {0, {false, false, false}}, {1, {true, false}}, {2, {true}}, {3, {true}}});
}

TEST_CASE("a stage that fails ends all trials that share it, and no others") {
  Kept kept;
  const auto executor = pool(stages({{1, Outcome::Diverged}}), 2);
  const RunCounts counts = carry_out(forked(), *executor, kept.events(), false);
  CHECK(counts.diverged == 2);
  CHECK(counts.done == 1);
  CHECK(std::find(kept.numbers.begin(), kept.numbers.end(), 3) == kept.numbers.end());
}

TEST_CASE("a stage whose beginning is lost fails nothing, and is named") {
  const Carry carry = [](const Assignment& stage, Progress&, const auto&) {
    Record record;
    record.outcome = number_of(stage) == 1 ? Outcome::Failed : Outcome::Done;
    record.start_lost = number_of(stage) == 1;
    record.step = forked().stages[number_of(stage)].end;
    record.seconds = static_cast<double>(number_of(stage)) + 1;
    return record;
  };
  Kept kept;
  const auto executor = pool(carry, 1);
  const RunCounts counts = carry_out(forked(), *executor, kept.events(), false);
  CHECK(counts.lost == std::vector<std::size_t>{1});
  CHECK(counts.failed == 0);
  CHECK(counts.done == 1);
  CHECK(counts.not_started == 2);
  CHECK(kept.numbers == std::vector<std::size_t>{0, 2});
}

TEST_CASE("what a stage saved at its end is handed to those that go on from it") {
  const Digest blob = sha256("blob");
  const Digest state = sha256("state");
  const Carry carry = [&](const Assignment& stage, Progress&, const auto& report) {
    Record first;
    first.outcome = Outcome::Done;
    first.step = 5;
    report(std::move(first));
    Record record = stages()(stage, *std::make_unique<Progress>(), report);
    if (number_of(stage) == 0) record.saved.push_back({10, 1.0, state, blob, 4});
    return record;
  };
  RunEvents events = Kept().events();
  std::map<std::size_t, std::optional<Digest>> given;
  events.assign = [&](std::size_t stage, const SavedStates* saved) {
    if (saved->contains(state)) given[stage] = saved->at(state);
    return numbered(stage);
  };
  std::vector<std::int64_t> steps;
  events.keep = [&](std::size_t, const Record& record, const std::vector<Share>&) {
    steps.push_back(record.step);
  };
  const auto executor = pool(carry, 1);
  carry_out(forked(), *executor, events, false);
  CHECK_FALSE(given[0]);
  CHECK(given[1] == blob);
  CHECK(given[2] == blob);
  // What was reported on the way comes before the rest of the stage.
  CHECK(steps == std::vector<std::int64_t>{5, 10, 5, 20, 5, 20, 5, 30});
}

TEST_CASE("a stage waits until those are over that save what it compares with") {
  for (const Outcome outcome : {Outcome::Done, Outcome::Failed}) {
    // 0 waits for 2, and 1 for nothing; how 2 ends does not matter.
    Plan plan = separate(3);
    plan.stages[0].after = {2};
    Kept kept;
    const Carry carry = [&](const Assignment& stage, Progress&, const auto&) {
      Record record;
      record.outcome = number_of(stage) == 2 ? outcome : Outcome::Done;
      return record;
    };
    const auto executor = pool(carry, 1);
    const RunCounts counts = carry_out(plan, *executor, kept.events(), false);
    CHECK(kept.numbers == std::vector<std::size_t>{1, 2, 0});
    CHECK(counts.not_started == 0);
  }
}

TEST_CASE("a stage whose ancestor failed holds up nobody who waits for it") {
  Plan plan = separate(3);
  plan.stages[1].parent = 0;
  plan.stages[2].after = {1};
  Kept kept;
  const Carry carry = [&](const Assignment& stage, Progress&, const auto&) {
    Record record;
    record.outcome = number_of(stage) == 0 ? Outcome::Failed : Outcome::Done;
    return record;
  };
  const auto executor = pool(carry, 1);
  const RunCounts counts = carry_out(plan, *executor, kept.events(), false);
  CHECK(kept.numbers == std::vector<std::size_t>{0, 2});
  CHECK(counts.failed == 1);
  CHECK(counts.not_started == 1);
}

namespace {

/// Takes everything at once, and ends stages as it is told to, the last first.
class Ahead final : public Executor {
 public:
  explicit Ahead(std::function<Event(const Job&)> end) : end_(std::move(end)) {}
  std::size_t room() const override { return 1000; }
  bool ahead() const override { return true; }
  void start(Job job) override { jobs.push_back(std::move(job)); }
  bool wait(int, Event& event) override {
    if (over_ == jobs.size()) return false;
    ++over_;
    event = end_(jobs[jobs.size() - over_]);
    return true;
  }
  std::vector<Running> running() const override { return {}; }
  void stop() override { stopped = true; }

  std::vector<Job> jobs;
  bool stopped = false;

 private:
  std::function<Event(const Job&)> end_;
  std::size_t over_ = 0;
};

}  // namespace

TEST_CASE("an executor that takes stages ahead gets them all, behind what they wait for") {
  Plan plan = forked();
  plan.stages[0].after = {plan.stages.size()};
  plan.trials.push_back({});
  plan.stages.push_back({.trial = plan.trials.size() - 1, .trials = {plan.trials.size() - 1}});
  Ahead executor(
      [](const Job& job) { return Event{job.number, {.outcome = Outcome::Done}, /*over=*/true}; });
  RunEvents events = Kept().events();
  events.assign = [](std::size_t stage, const SavedStates* saved) {
    CHECK(saved == nullptr);  // nothing is known yet of what stages save
    return numbered(stage);
  };
  events.keep = [](auto...) {};
  const RunCounts counts = carry_out(plan, executor, events, false);
  REQUIRE(executor.jobs.size() == plan.stages.size());
  std::set<std::size_t> seen;
  for (const Job& job : executor.jobs) {
    const Stage& stage = plan.stages[job.number];
    CHECK(job.parent.value_or(kNone) == stage.parent);
    CHECK(job.after == stage.after);
    CHECK(job.trials.size() == stage.trials.size());
    if (job.parent) CHECK(seen.contains(*job.parent));
    for (const std::size_t other : job.after) CHECK(seen.contains(other));
    seen.insert(job.number);
  }
  CHECK(counts.done == plan.trials.size());
}

TEST_CASE(
    "of a stage that is left to go on without us nothing is kept, and its trials are told so") {
  const Plan plan = separate(3);
  Ahead executor([](const Job& job) {
    Event event{job.number, {.outcome = Outcome::Done}, /*over=*/true};
    event.left = job.number == 1;
    return event;
  });
  Kept kept;
  const RunCounts counts = carry_out(plan, executor, kept.events(), false);
  CHECK(counts.done == 2);
  CHECK(counts.not_started == 1);
  CHECK(counts.left == 1);
  CHECK(std::set<std::size_t>(kept.numbers.begin(), kept.numbers.end()) ==
        std::set<std::size_t>{0, 2});
}
