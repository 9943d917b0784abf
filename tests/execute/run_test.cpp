#include "perturb/execute/run.h"

#include <atomic>
#include <condition_variable>
#include <mutex>
#include <numeric>
#include <set>
#include <stdexcept>
#include <thread>

#include <doctest/doctest.h>

namespace {

using namespace perturb;

/// A trainer that records what it was asked for and ends as it was told to.
class FakeTrainer {
 public:
  explicit FakeTrainer(std::function<Outcome(std::size_t)> outcome =
                           [](std::size_t) { return Outcome::Done; })
      : outcome_(std::move(outcome)) {}

  Carry carry() {
    return [this](std::size_t number, Progress& progress) {
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
    return [this](std::size_t number, Progress& progress) {
      {
        const std::lock_guard lock(mutex_);
        called_.push_back(number);
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

std::vector<std::size_t> numbers(std::size_t n) {
  std::vector<std::size_t> all(n);
  std::iota(all.begin(), all.end(), std::size_t{0});
  return all;
}

/// Keeps the numbers of the records that it was handed.
struct Kept {
  std::vector<std::size_t> numbers;
  RunEvents events() {
    RunEvents events;
    events.keep = [this](const Ended& ended) { numbers.push_back(ended.number); };
    return events;
  }
};

}  // namespace

TEST_CASE("one worker carries everything out in order, each trial once") {
  FakeTrainer trainer;
  Kept kept;
  const auto executor = pool(trainer.carry(), 1);
  const RunCounts counts = carry_out({3, 1, 2, 0}, *executor, kept.events(), false);
  CHECK(trainer.called() == std::vector<std::size_t>{3, 1, 2, 0});
  CHECK(kept.numbers == std::vector<std::size_t>{3, 1, 2, 0});
  CHECK(trainer.most_inside() == 1);
  CHECK(counts.done == 4);
  CHECK(counts.not_started == 0);
}

TEST_CASE("many workers carry each trial out once and never more than there are workers") {
  for (const std::size_t workers : {2u, 3u, 16u}) {
    FakeTrainer trainer;
    Kept kept;
    const auto executor = pool(trainer.carry(), workers);
    const RunCounts counts = carry_out(numbers(300), *executor, kept.events(), false);
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
  const Carry carry = [&](std::size_t, Progress&) {
    std::unique_lock lock(mutex);
    ++under_way;
    changed.notify_all();
    changed.wait(lock, [&] { return under_way == 3; });
    return Record{.outcome = Outcome::Done};
  };
  Kept kept;
  const auto executor = pool(carry, 3);
  CHECK(carry_out(numbers(3), *executor, kept.events(), false).done == 3);
}

TEST_CASE("a trial that fails is recorded and stops nothing else") {
  FakeTrainer trainer([](std::size_t number) {
    return number == 1 ? Outcome::Failed : number == 2 ? Outcome::Diverged : Outcome::Done;
  });
  Kept kept;
  const auto executor = pool(trainer.carry(), 2);
  const RunCounts counts = carry_out(numbers(6), *executor, kept.events(), false);
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
      carry_out(numbers(10), *executor, kept.events(), false, {.fail_fast = true});
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
  const RunCounts counts = carry_out(numbers(5), *executor, kept.events(), stop);
  user.join();
  CHECK(counts.interrupted == 2);
  CHECK(counts.not_started == 3);
  CHECK(kept.numbers.size() == 2);
}

TEST_CASE("a stop before the start carries nothing out") {
  FakeTrainer trainer;
  Kept kept;
  const auto executor = pool(trainer.carry(), 2);
  CHECK(carry_out(numbers(5), *executor, kept.events(), true).not_started == 5);
  CHECK(trainer.called().empty());
}

TEST_CASE("a record that cannot be kept ends the run, and no worker is left behind") {
  FakeTrainer trainer;
  RunEvents events;
  events.keep = [](const Ended&) { throw std::runtime_error("disk full"); };
  {
    const auto executor = pool(trainer.carry(), 2);
    CHECK_THROWS_WITH(carry_out(numbers(100), *executor, events, false), "disk full");
  }
  CHECK(trainer.called().size() < 100);
}

TEST_CASE("whoever destroys a pool stops its trials") {
  FakeTrainer trainer;
  {
    const auto executor = pool(trainer.endless(), 1);
    executor->start(7);
    trainer.wait_for_calls(1);
    CHECK(executor->room() == 0);
  }
  CHECK(trainer.called() == std::vector<std::size_t>{7});
}

TEST_CASE("what is under way can be watched") {
  FakeTrainer trainer;
  const auto executor = pool(trainer.endless(), 2);
  executor->start(4);
  trainer.wait_for_calls(1);
  const std::vector<Running> running = executor->running();
  REQUIRE(running.size() == 1);
  CHECK(running[0].number == 4);
  CHECK(executor->room() == 1);
  executor->stop();
  Ended ended;
  while (!executor->wait(1000, ended)) {
  }
  CHECK(ended.number == 4);
  CHECK(ended.record.outcome == Outcome::Interrupted);
  CHECK(executor->running().empty());
  CHECK(executor->room() == 2);
}

TEST_CASE("events come in the thread that carries out, the start before the end") {
  FakeTrainer trainer;
  std::vector<std::string> log;
  const auto here = std::this_thread::get_id();
  RunEvents events;
  events.started = [&](std::size_t number) {
    CHECK(std::this_thread::get_id() == here);
    log.push_back("start " + std::to_string(number));
  };
  events.keep = [&](const Ended& ended) {
    CHECK(std::this_thread::get_id() == here);
    log.push_back("keep " + std::to_string(ended.number));
  };
  events.ended = [&](const Ended& ended) { log.push_back("end " + std::to_string(ended.number)); };
  const auto executor = pool(trainer.carry(), 1);
  carry_out({0, 1}, *executor, events, false);
  CHECK(log ==
        std::vector<std::string>{"start 0", "keep 0", "end 0", "start 1", "keep 1", "end 1"});
}
