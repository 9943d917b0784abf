#include "cli/run_display.h"

#include <algorithm>

#include <fmt/format.h>

#include "cli/meters.h"
#include "cli/wording.h"
#include "perturb/report/table.h"

namespace perturb {

namespace {

constexpr auto kRedraw = std::chrono::milliseconds(100);
/// Beyond this many trials, lines for those that went well come at most one a second.
constexpr std::size_t kEveryEvent = 250;
constexpr std::size_t kMostRunningLines = 8;

double seconds(std::chrono::steady_clock::duration time) {
  return std::chrono::duration<double>(time).count();
}

}  // namespace

RunDisplay::RunDisplay(Output& output, DisplayOptions options)
    : output_(output),
      options_(std::move(options)),
      begun_(options_.clock()),
      // The first line comes at once.
      reported_(begun_ - std::chrono::seconds(1)) {}

RunDisplay::~RunDisplay() { erase(); }

void RunDisplay::started(std::size_t number) {
  if (options_.quiet || output_.terminal() || options_.trials > kEveryEvent) return;
  const Stage& stage = options_.stage(number);
  std::string what = fmt::format("start {}", options_.name(stage.trial));
  if (stage.begin > 0 || stage.trials.size() > 1)
    what += fmt::format("  steps {} to {}", stage.begin, stage.end);
  if (stage.trials.size() > 1) what += fmt::format(", for {} trials", stage.trials.size());
  say(what);
}

void RunDisplay::ended(std::size_t number, const Record& record) {
  ++ended_;
  const std::string name = options_.name(number);
  if (record.outcome == Outcome::Done) {
    if (options_.quiet || output_.terminal() || !may_report()) return;
    const std::string metric = printable(options_.key_metric(record));
    say(fmt::format("done  {}  {}  {}{}", position(), name, metric,
                    fmt::format("{}({})", metric.empty() ? "" : "  ", duration(record.seconds))));
    return;
  }
  if (record.outcome == Outcome::Interrupted) {
    if (!options_.quiet) say(fmt::format("stopped  {}  at step {}", name, record.step));
    return;
  }
  ++failed_;
  // Never rate-limited and never silent: what went wrong is a result (law 8).
  say(inked(fmt::format("{} {}  {}  at step {}: {}", name_of(record.outcome), position(), name,
                        record.step, printable(record.message)),
            Ink::Yellow, output_.color()));
}

void RunDisplay::tick(const std::vector<Running>& running) {
  if (options_.quiet || !output_.terminal()) return;
  const Time now = options_.clock();
  if (now - drawn_ < kRedraw) return;
  erase();
  drawn_ = now;
  for (const std::string& line : lines(running, output_.width())) {
    output_.line(line);
    ++drawn_lines_;
  }
  output_.flush();
}

void RunDisplay::say(const std::string& text) {
  erase();
  output_.line(text);
  output_.flush();
}

std::vector<std::string> RunDisplay::lines(const std::vector<Running>& running,
                                           std::size_t width) const {
  const double share = this->share(running);
  std::string head = fmt::format("{} {:3.0f}%  {}", bar(share, 24), 100 * share, position());
  if (failed_ > 0) head += fmt::format("  {} failed", failed_);
  if (const double left = seconds_left(running); left >= 0)
    head += fmt::format("  {} left", duration(left));

  // One column less than there are: a full line would wrap on some terminals, and the next
  // redraw would miss it.
  const std::size_t most = width > 1 ? width - 1 : 79;
  std::vector<std::string> all = {shortened(head, most)};
  for (std::size_t i = 0; i < std::min(running.size(), kMostRunningLines); ++i) {
    const Running& under_way = running[i];
    const Stage& stage = options_.stage(under_way.number);
    const std::string state = fmt::format("step {}/{}  loss {:.4f}",
                                          std::max(stage.begin, under_way.progress->step.load()),
                                          stage.end, under_way.progress->loss.load());
    const std::size_t taken = 4 + display_width(state);
    const std::string name = shortened(options_.name(stage.trial), most > taken ? most - taken : 0);
    all.push_back(shortened(fmt::format("  {}  {}", name, state), most));
  }
  if (running.size() > kMostRunningLines)
    all.push_back(fmt::format("  and {} more", running.size() - kMostRunningLines));
  return all;
}

double RunDisplay::share(const std::vector<Running>& running) const {
  const std::int64_t steps = steps_done_ + steps_under_way(running);
  return options_.steps > 0 ? static_cast<double>(steps) / static_cast<double>(options_.steps) : 0;
}

double RunDisplay::seconds_left(const std::vector<Running>& running) const {
  const std::int64_t steps = steps_done_ + steps_under_way(running);
  const double passed = seconds(options_.clock() - begun_);
  if (steps <= 0 || passed < 1) return -1;
  return passed / static_cast<double>(steps) *
         static_cast<double>(std::max<std::int64_t>(0, options_.steps - steps));
}

std::int64_t RunDisplay::steps_under_way(const std::vector<Running>& running) const {
  std::int64_t steps = 0;
  for (const Running& stage : running) {
    const auto reported = reported_to_.find(stage.number);
    const std::int64_t from =
        reported == reported_to_.end() ? options_.stage(stage.number).begin : reported->second;
    // Until it has begun, a stage stands at no step at all.
    steps += std::max<std::int64_t>(0, stage.progress->step.load() - from);
  }
  return steps;
}

void RunDisplay::kept(std::size_t stage, const Record& record) {
  steps_done_ += record.trained;
  reported_to_[stage] = record.step;
}

std::string RunDisplay::position() const { return fmt::format("{}/{}", ended_, options_.trials); }

bool RunDisplay::may_report() {
  if (options_.trials <= kEveryEvent || ended_ == options_.trials) return true;
  const Time now = options_.clock();
  if (now - reported_ < std::chrono::seconds(1)) return false;
  reported_ = now;
  return true;
}

void RunDisplay::erase() {
  for (; drawn_lines_ > 0; --drawn_lines_) output_.write("\x1b[A\x1b[2K");
}

}  // namespace perturb
