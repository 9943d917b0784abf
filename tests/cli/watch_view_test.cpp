#include "cli/watch_view.h"

#include <limits>
#include <string>

#include <doctest/doctest.h>
#include <nlohmann/json.hpp>

#include "perturb/report/table.h"

namespace {

using namespace perturb;

Sight sight() {
  Sight sight;
  sight.run = {.id = 4,
               .experiment = "momentum",
               .host = "here",
               .process = 123,
               .started = "2026-01-01T00:00:00Z",
               .outcome = ""};
  sight.counts = {.trials = 120, .done = 31, .diverged = 2, .failed = 1};
  sight.metric = "test.loss";
  Live live;
  live.run = 4;
  live.trials = 86;
  live.over = 31;
  live.failed = 1;
  live.share = 0.25;
  live.left = 182;
  live.stages = 1;
  live.running = {{.number = 5,
                   .name = "#5 control",
                   .trials = 1,
                   .begin = 100,
                   .step = 600,
                   .end = 1100,
                   .rate = 145.2,
                   .loss = {2, 1}}};
  sight.live = live;
  sight.ended = {
      {{.number = 3, .name = "#3 noise", .outcome = Outcome::Done, .step = 1100}, {0.9, 0.4}},
      {{.number = 4, .name = "#4 noise", .outcome = Outcome::Diverged, .step = 7}, {}}};
  return sight;
}

std::string joined(const std::vector<std::string>& lines) {
  std::string all;
  for (const std::string& line : lines) all += line + "\n";
  return all;
}

}  // namespace

TEST_CASE("the view of a run that goes on") {
  CHECK(joined(lines_of(sight(), {.width = 100, .height = 24})) ==
        "momentum: 120 trials: 31 done, 2 diverged, 1 failed, 86 to run\n"
        "run 4  ██████░░░░░░░░░░░░░░░░░░  25%  31/86 trials  1 failed  3 min 2 s left\n"
        "\n"
        "under way                   step  steps/s  loss\n"
        "#5 control  █████░░░░░  600/1100      145     1  █▁\n"
        "\n"
        "ended               step  test.loss\n"
        "#4 noise  diverged     7\n"
        "#3 noise  done      1100        0.4  █▁\n");
}

TEST_CASE("without a word of the run there is what the store knows") {
  Sight silent = sight();
  silent.live.reset();
  silent.ended.clear();
  CHECK(joined(lines_of(silent, {.width = 100, .height = 24})) ==
        "momentum: 120 trials: 31 done, 2 diverged, 1 failed, 86 to run\n"
        "run 4, process 123 on here, since 2026-01-01T00:00:00Z\n");
}

TEST_CASE("a run that says nothing new any more is not called alive") {
  Sight silent = sight();
  silent.silent = 42;
  CHECK(joined(lines_of(silent, {.width = 100, .height = 24})).find("no sign of life for 42 s") !=
        std::string::npos);
}

TEST_CASE("whatever it is called, the view fits the terminal and moves no cursor") {
  Sight wild = sight();
  const std::string nasty =
      "\x1b[2J\x1b]0;owned\x07 \xE2\x80\xAE evil \n\r\t\xFF 漢字 " + std::string(500, 'x');
  wild.run.experiment = wild.run.host = wild.run.started = wild.metric = nasty;
  wild.live->running[0].name = nasty;
  wild.live->running.assign(32, wild.live->running[0]);
  wild.live->stages = 1'000'000;
  wild.ended.assign(8, wild.ended[1]);
  for (WatchedTrial& one : wild.ended) one.trial.name = nasty;
  for (const std::size_t width : {1, 2, 20, 40, 80, 200}) {
    for (const std::size_t height : {1, 5, 9, 24, 100}) {
      const auto lines = lines_of(wild, {.width = width, .height = height});
      CHECK(lines.size() <= std::max<std::size_t>(2, height - 1));
      for (const std::string& line : lines) {
        CHECK(line == printable(line));
        CHECK(display_width(line) < std::max<std::size_t>(width, 80));
        if (width > 1) CHECK(display_width(line) < width);
      }
    }
  }
}

TEST_CASE("colour takes no room and is all that is added") {
  const auto plain = lines_of(sight(), {.width = 60, .height = 24});
  const auto inked = lines_of(sight(), {.width = 60, .height = 24, .color = true});
  REQUIRE(plain.size() == inked.size());
  for (std::size_t i = 0; i < plain.size(); ++i)
    CHECK(inked[i].find(plain[i]) != std::string::npos);
}

TEST_CASE("numbers beyond reason are shown, not computed with") {
  constexpr auto kMost = std::numeric_limits<std::int64_t>::max();
  Sight odd = sight();
  odd.live->trials = odd.live->over = odd.live->failed = odd.live->stages = kMost;
  odd.live->left = 1e300;
  odd.live->running[0].begin = 0;
  odd.live->running[0].step = odd.live->running[0].end = kMost;
  odd.live->running[0].rate = 1e300;
  CHECK(lines_of(odd, {}).size() > 2);
  CHECK_FALSE(events_between(nullptr, odd).size());
  const Sight before = sight();
  CHECK(events_between(&before, odd).size() == 3);
}

TEST_CASE("an event is a trial that ended since the last look, each told once") {
  Sight before = sight();
  Sight now = sight();
  CHECK(events_between(&before, now).empty());
  before.live->over = 29;
  CHECK(joined(events_between(&before, now)) ==
        "done 30/86  #3 noise  at step 1100  test.loss 0.4\n"
        "diverged 31/86  #4 noise  at step 7\n");
  // More than the run tells by name are counted.
  before.live->over = 21;
  CHECK(events_between(&before, now).front() == "8 trials ended");
  CHECK(events_between(&before, now).size() == 3);
}

TEST_CASE("JSON has what the view has") {
  const nlohmann::json json = json_of(sight());
  CHECK(json["experiment"] == "momentum");
  CHECK(json["outcome"].is_null());
  CHECK(json["running"][0]["loss"] == std::vector<double>{2, 1});
  CHECK(json["ended"][1]["outcome"] == "diverged");
  CHECK(json["seconds_left"] == 182);
}
