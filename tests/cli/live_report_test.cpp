#include "cli/live_report.h"

#include <string>

#include <doctest/doctest.h>

#include "temporary_folder.h"

namespace {

using namespace perturb;
using std::chrono::milliseconds;
using std::chrono::seconds;

/// A report into a folder of its own, with a clock that the test moves.
struct Fixture {
  TemporaryFolder folder;
  std::chrono::steady_clock::time_point now{};
  Stage stage = {.trial = 7, .begin = 100, .end = 1100, .trials = {7, 9}};
  std::shared_ptr<Progress> progress = std::make_shared<Progress>();
  int named = 0;

  LiveReportOptions options() {
    return {.folder = folder.path(),
            .run = 4,
            .trials = 20,
            .name =
                [this](std::size_t number) {
                  ++named;
                  return "#" + std::to_string(number);
                },
            .stage = [this](std::size_t) -> const Stage& { return stage; },
            .clock = [this] { return now; }};
  }
  std::vector<Running> running() const { return {{3, progress}}; }
};

Record record(Outcome outcome) {
  Record record;
  record.outcome = outcome;
  record.step = 1100;
  return record;
}

}  // namespace

TEST_CASE_FIXTURE(Fixture,
                  "it is written at once, then at most once a second, and gone at the end") {
  {
    LiveReport report(options());
    CHECK_FALSE(read_live(folder.path()));
    for (int tenth = 0; tenth < 31; ++tenth) {
      report.tick(running(), 0.5, 10);
      now += milliseconds(100);
    }
    const auto live = read_live(folder.path());
    REQUIRE(live);
    CHECK(live->beat == 4);
    CHECK(live->run == 4);
    CHECK(live->trials == 20);
    CHECK(live->share == 0.5);
    CHECK(live->left == 10);
  }
  CHECK(std::filesystem::is_empty(folder.path()));
}

TEST_CASE_FIXTURE(Fixture, "a stage is told with its progress and its speed") {
  LiveReport report(options());
  report.tick(running(), 0, -1);  // it has not begun: its progress is at no step at all
  auto live = read_live(folder.path());
  REQUIRE(live);
  CHECK(live->running.at(0).step == 100);
  CHECK(live->running.at(0).loss.empty());
  CHECK(live->running.at(0).rate == 0);

  for (int second = 1; second <= 3; ++second) {
    now += seconds(1);
    progress->step = 100 + 50 * second;
    progress->loss = 1.0F / static_cast<float>(second);
    report.tick(running(), 0, -1);
  }
  live = read_live(folder.path());
  REQUIRE(live);
  const LiveStage& seen = live->running.at(0);
  CHECK(seen.number == 7);
  CHECK(seen.name == "#7");
  CHECK(seen.trials == 2);
  CHECK(seen.begin == 100);
  CHECK(seen.step == 250);
  CHECK(seen.end == 1100);
  CHECK(seen.rate == doctest::Approx(50));
  CHECK(seen.loss.size() == 3);
  CHECK(seen.loss[1] == 0.5);
}

TEST_CASE_FIXTURE(Fixture, "the curve of a long stage covers all of it, evenly") {
  LiveReport report(options());
  progress->step = 101;
  constexpr int kSeconds = 10'000;
  for (int second = 0; second < kSeconds; ++second) {
    progress->loss = static_cast<float>(second);
    report.tick(running(), 0, -1);
    now += seconds(1);
  }
  const auto live = read_live(folder.path());
  REQUIRE(live);
  const std::vector<double>& loss = live->running.at(0).loss;
  REQUIRE(loss.size() >= kMostLiveLosses / 2);
  REQUIRE(loss.size() <= kMostLiveLosses);
  const double step = loss[1] - loss[0];
  CHECK(loss[0] <= step);
  for (std::size_t i = 1; i < loss.size(); ++i) CHECK(loss[i] - loss[i - 1] == step);
  CHECK(loss.back() > kSeconds - 1 - step);
}

TEST_CASE_FIXTURE(Fixture, "the latest that ended are told, and only what is written gets a name") {
  LiveReportOptions many = options();
  many.trials = 2000;
  LiveReport report(std::move(many));
  for (std::size_t trial = 0; trial < 1000; ++trial)
    report.ended(trial, record(trial % 100 == 0 ? Outcome::Diverged : Outcome::Done));
  report.ended(1000, record(Outcome::Interrupted));
  report.tick({}, 1, 0);
  const auto live = read_live(folder.path());
  REQUIRE(live);
  CHECK(live->over == 1001);
  CHECK(live->ended.size() == kMostLiveEnded);
  CHECK(live->ended.back().number == 1000);
  CHECK(named == static_cast<int>(kMostLiveEnded));
}

TEST_CASE_FIXTURE(Fixture, "what ended is counted by how") {
  LiveReport report(options());
  for (const Outcome outcome :
       {Outcome::Done, Outcome::Crashed, Outcome::Done, Outcome::Diverged, Outcome::Interrupted})
    report.ended(5, record(outcome));
  report.tick({}, 1, 0);
  const auto live = read_live(folder.path());
  REQUIRE(live);
  CHECK(live->over == 5);
  CHECK(live->failed == 2);
  CHECK(live->ended.size() == 5);
  CHECK(live->ended.back().outcome == Outcome::Interrupted);
  CHECK(live->ended.back().name == "#5");
}

TEST_CASE_FIXTURE(Fixture, "a folder that cannot be written to stops nothing") {
  LiveReportOptions absent = options();
  absent.folder = folder.path() / "absent";
  LiveReport report(std::move(absent));
  report.tick(running(), 0, -1);
  now += seconds(2);
  report.tick(running(), 0, -1);
  CHECK(std::filesystem::is_empty(folder.path()));
}
