#include "cli/run_display.h"

#include <algorithm>
#include <cstdio>
#include <string>

#include <doctest/doctest.h>

#include "perturb/report/table.h"

namespace {

using namespace perturb;
using std::chrono::milliseconds;
using std::chrono::seconds;

/// A display on a file, with a clock that the test moves.
struct Fixture {
  std::FILE* file = std::tmpfile();
  Output output{file};
  std::chrono::steady_clock::time_point now{};
  Stage stage;

  DisplayOptions options(std::size_t trials) {
    return {.trials = trials,
            .steps = static_cast<std::int64_t>(trials) * 100,
            .name = [](std::size_t number) { return "#" + std::to_string(number) + " noise"; },
            .stage = [this](std::size_t number) -> const Stage& {
              stage = {.trial = number, .end = 100, .trials = {number}};
              return stage;
            },
            .key_metric = [](const Record&) { return std::string("test.accuracy 0.5"); },
            .clock = [this] { return now; }};
  }

  std::string written() {
    std::fflush(file);
    std::rewind(file);
    std::string text;
    for (int c = 0; (c = std::fgetc(file)) != EOF;) text += static_cast<char>(c);
    return text;
  }

  Running running(std::size_t number, std::int64_t step) {
    auto progress = std::make_shared<Progress>();
    progress->step = step;
    progress->loss = 0.25F;
    return {number, progress};
  }

  ~Fixture() { std::fclose(file); }
};

Record record(Outcome outcome) {
  return {.trial = {},
          .outcome = outcome,
          .step = 7,
          .message = "loss is NaN",
          .seconds = 2,
          .trained = 7,
          .measured = {},
          .saved = {},
          .start_lost = false};
}

std::size_t lines_in(const std::string& text) {
  return static_cast<std::size_t>(std::count(text.begin(), text.end(), '\n'));
}

}  // namespace

TEST_CASE_FIXTURE(Fixture,
                  "away from a terminal it is one line an event, without escape sequences") {
  {
    RunDisplay display(output, options(2));
    display.started(3);
    display.tick({running(3, 10)});
    display.ended(3, record(Outcome::Done));
    display.started(4);
    display.ended(4, record(Outcome::Diverged));
  }
  CHECK(written() ==
        "start #3 noise\n"
        "done  1/2  #3 noise  test.accuracy 0.5  (2.0 s)\n"
        "start #4 noise\n"
        "diverged 2/2  #4 noise  at step 7: loss is NaN\n");
}

TEST_CASE_FIXTURE(Fixture, "what a trial says of its end moves no cursor") {
  {
    RunDisplay display(output, options(1));
    Record wild = record(Outcome::Failed);
    wild.message = "\x1b[2J\x1b]0;owned\x07 no\nlines \xFF";
    display.ended(0, wild);
  }
  CHECK(written() ==
        "failed 1/1  #0 noise  at step 7: \\x1b[2J\\x1b]0;owned\\x07 no\\nlines \xEF\xBF\xBD\n");
}

TEST_CASE_FIXTURE(Fixture, "thousands of trials are a line a second, but every failure is told") {
  {
    RunDisplay display(output, options(1000));
    for (std::size_t number = 0; number < 1000; ++number) {
      display.started(number);
      display.ended(number, record(number == 500 ? Outcome::Failed : Outcome::Done));
      now += milliseconds(10);
    }
  }
  const std::string text = written();
  // Ten seconds: ten lines, the last of all, and the failure.
  CHECK(lines_in(text) == 12);
  CHECK(text.find("failed 501/1000  #500 noise") != std::string::npos);
  CHECK(text.find("done  1000/1000") != std::string::npos);
}

TEST_CASE_FIXTURE(Fixture, "quiet tells failures only") {
  {
    DisplayOptions quiet = options(2);
    quiet.quiet = true;
    RunDisplay display(output, quiet);
    display.started(0);
    display.ended(0, record(Outcome::Done));
    display.ended(1, record(Outcome::Crashed));
  }
  CHECK(lines_in(written()) == 1);
}

TEST_CASE_FIXTURE(Fixture, "no line is wider than the terminal, whatever a trial is called") {
  DisplayOptions named = options(20);
  named.name = [](std::size_t) { return std::string(300, 'n') + "漢字"; };
  RunDisplay display(output, named);
  std::vector<Running> many;
  for (std::size_t i = 0; i < 20; ++i) many.push_back(running(i, 50));
  for (const std::size_t width : {20u, 40u, 80u, 200u}) {
    const auto lines = display.lines(many, width);
    CHECK(lines.size() == 10);  // the bar, eight trials, "and 12 more"
    for (const std::string& line : lines) CHECK(display_width(line) < width);
  }
  CHECK(display.lines(many, 120)[1].find("step 50/100  loss 0.2500") != std::string::npos);
}

TEST_CASE_FIXTURE(Fixture, "time left follows the speed of all steps so far") {
  RunDisplay display(output, options(4));  // 400 steps
  CHECK(display.seconds_left({running(0, 0)}) < 0);
  now += seconds(10);
  CHECK(display.seconds_left({running(0, 50), running(1, 50)}) == doctest::Approx(30));
  Record half = record(Outcome::Done);
  half.trained = half.step = 50;
  display.kept(1, half);
  // Stage 0 has left all its steps, stage 1 the first half of them.
  half.trained = half.step = 100;
  display.kept(0, half);
  now += seconds(10);
  CHECK(display.seconds_left({running(1, 100)}) == doctest::Approx(20));
}
