#include "cli/watch.h"

#include <algorithm>
#include <chrono>
#include <cmath>
#include <optional>
#include <thread>
#include <utility>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "cli/stop_signals.h"
#include "cli/watch_view.h"
#include "cli/wording.h"
#include "perturb/report/table.h"
#include "perturb/store/live.h"
#include "perturb/store/store.h"

namespace perturb {

namespace {

using Clock = std::chrono::steady_clock;

std::int64_t integer_of(const Cell& cell) {
  const auto* integer = std::get_if<std::int64_t>(&cell);
  return integer ? *integer : 0;
}

std::string text_of(const Cell& cell) {
  const auto* text = std::get_if<std::string>(&cell);
  return text ? *text : std::string();
}

double number_of(const Cell& cell) {
  const auto* number = std::get_if<double>(&cell);
  return number ? *number : std::nan("");
}

/// The latest run that is under way, else the latest of all.
std::optional<WatchedRun> latest_run(const Store& store, const std::string& experiment) {
  const Table runs = store.query(
      "SELECT id, experiment, host, pid, started, coalesce(outcome, '') FROM runs "
      "WHERE ?1 = '' OR experiment = ?1 ORDER BY outcome IS NULL DESC, id DESC LIMIT 1",
      {experiment});
  if (runs.rows.empty()) return std::nullopt;
  const auto& row = runs.rows.front();
  return WatchedRun{.id = integer_of(row[0]),
                    .experiment = text_of(row[1]),
                    .host = text_of(row[2]),
                    .process = integer_of(row[3]),
                    .started = text_of(row[4]),
                    .outcome = text_of(row[5])};
}

TrialCounts counts_of(const Store& store, const std::string& experiment) {
  const Table table = store.query(
      "SELECT count(*), sum(outcome = 'done'), sum(outcome = 'diverged'), "
      "sum(outcome NOT IN ('done', 'diverged', 'interrupted')) FROM trials WHERE experiment = ?",
      {experiment});
  const auto& row = table.rows.front();
  return {integer_of(row[0]), integer_of(row[1]), integer_of(row[2]), integer_of(row[3])};
}

/// A loss if the experiment has one, else whatever it measures.
std::string metric_of(const Store& store, const std::string& experiment) {
  const Table table = store.query(
      "SELECT m.name FROM experiment_metrics AS m JOIN experiments AS e ON e.id = m.experiment "
      "WHERE e.name = ? ORDER BY m.name <> 'test.loss', m.name <> 'train.loss', m.name LIMIT 1",
      {experiment});
  return table.rows.empty() ? std::string() : text_of(table.rows.front()[0]);
}

std::vector<double> values_of(const Store& store, const Sight& sight, std::int64_t number) {
  std::vector<double> values;
  const Table table = store.query(
      "SELECT value FROM results WHERE experiment = ? AND number = ? AND metric = ? ORDER BY step",
      {sight.run.experiment, number, sight.metric});
  for (const auto& row : table.rows) values.push_back(number_of(row[0]));
  return values;
}

/// Of a run that says nothing any more: those with the highest numbers, which are about the latest.
std::vector<LiveEnded> ended_by(const Store& store, const WatchedRun& run) {
  std::vector<LiveEnded> ended;
  const Table table =
      store.query(fmt::format("SELECT number, intervention, outcome, step FROM trials "
                              "WHERE experiment = ? AND run = ? AND outcome IS NOT NULL "
                              "ORDER BY number DESC LIMIT {}",
                              kMostLiveEnded),
                  {run.experiment, run.id});
  for (const auto& row : table.rows) {
    ended.push_back({.number = integer_of(row[0]),
                     .name = fmt::format("#{} {}", integer_of(row[0]), text_of(row[1])),
                     .outcome = outcome_from(text_of(row[2])),
                     .step = integer_of(row[3])});
  }
  std::ranges::reverse(ended);
  return ended;
}

/// Looks at one run.
class Watcher {
 public:
  Watcher(const Store& store, WatchedRun run) : store_(store), run_(std::move(run)) {}

  Sight look() {
    // The process before its row: it may end between the two, and then the row says how.
    const bool gone = sign_of(run_.host, run_.process) == Sign::Gone;
    const Table row =
        store_.query("SELECT coalesce(outcome, '') FROM runs WHERE id = ?", {run_.id});
    run_.outcome = row.rows.empty() ? "died" : text_of(row.rows.front()[0]);
    if (run_.outcome.empty() && gone) run_.outcome = "died";

    Sight sight;
    sight.run = run_;
    sight.counts = counts_of(store_, run_.experiment);
    sight.metric = metric_of(store_, run_.experiment);
    if (run_.outcome.empty()) sight.live = read_live(store_.folder());
    // One of another run is one that was left behind.
    if (sight.live && sight.live->run != run_.id) sight.live.reset();
    const Clock::time_point now = Clock::now();
    if (!sight.live || sight.live->beat != beat_) heard_ = now;
    sight.silent = std::chrono::duration<double>(now - heard_).count();
    if (sight.live) {
      beat_ = sight.live->beat;
      ended_ = sight.live->ended;
    } else if (!run_.outcome.empty()) {
      ended_ = ended_by(store_, run_);
    }
    for (const LiveEnded& one : ended_)
      sight.ended.push_back({one, values_of(store_, sight, one.number)});
    return sight;
  }

 private:
  const Store& store_;
  WatchedRun run_;
  std::vector<LiveEnded> ended_;
  std::int64_t beat_ = -1;
  Clock::time_point heard_ = Clock::now();
};

/// Some lines that are redrawn in place, with the cursor out of the way; it comes back whatever
/// ends us but a kill.
class Screen {
 public:
  explicit Screen(Output& output) : output_(output) { output_.write("\x1b[?25l"); }
  Screen(const Screen&) = delete;
  Screen& operator=(const Screen&) = delete;
  ~Screen() {
    try {
      output_.write("\x1b[?25h");
      output_.flush();
    } catch (const std::exception&) {
      // The terminal has gone.
    }
  }

  void draw(const std::vector<std::string>& lines) {
    // In one piece, and no line is empty before it is new: nothing flickers.
    std::string text = drawn_ > 0 ? fmt::format("\x1b[{}A\r", drawn_) : "";
    for (const std::string& line : lines) text += line + "\x1b[K\n";
    output_.write(text + "\x1b[J");
    output_.flush();
    drawn_ = lines.size();
  }

 private:
  Output& output_;
  std::size_t drawn_ = 0;
};

/// Shows one look after the other in the form that whoever reads wants.
class Display {
 public:
  explicit Display(Context& context) : out_(context.out), json_(context.json) {
    if (!json_ && out_.terminal()) screen_.emplace(out_);
  }

  void show(const Sight& sight) {
    if (json_)
      show_json(sight);
    else if (screen_)
      screen_->draw(
          lines_of(sight, {.width = out_.width(), .height = out_.height(), .color = out_.color()}));
    else
      show_events(sight);
    out_.flush();
    before_ = sight;
  }

  void end() {
    if (!json_ && before_) out_.line(farewell(*before_));
  }

 private:
  void show_json(const Sight& sight) {
    std::string line =
        json_of(sight).dump(-1, ' ', false, nlohmann::json::error_handler_t::replace);
    if (line == written_) return;
    out_.line(line);
    written_ = std::move(line);
  }

  void show_events(const Sight& sight) {
    if (!before_ && sight.run.outcome.empty())
      out_.line(fmt::format("{}: run {}, process {} on {}, since {}",
                            printable(sight.run.experiment), sight.run.id, sight.run.process,
                            printable(sight.run.host), printable(sight.run.started)));
    for (const std::string& event : events_between(before_ ? &*before_ : nullptr, sight))
      out_.line(event);
    if (!sight.run.outcome.empty())
      out_.line(printable(sight.run.experiment) + ": " + text_of(sight.counts));
  }

  Output& out_;
  bool json_;
  std::optional<Screen> screen_;
  std::optional<Sight> before_;
  std::string written_;
};

/// False when somebody asked to stop.
bool wait(Clock::duration time, const StopSignals& signals) {
  constexpr auto kSlice = std::chrono::milliseconds(50);
  for (const auto end = Clock::now() + time; Clock::now() < end && !signals.asked();)
    std::this_thread::sleep_for(kSlice);
  return !signals.asked();
}

}  // namespace

ExitCode watch(Context& context, const std::filesystem::path& store_folder,
               const std::string& experiment) {
  if (!Store::exists(store_folder))
    throw Error(ExitCode::Usage, "there is no store in \"" + store_folder.string() + "\"",
                "`perturb run FILE` makes one; then there is something to watch");
  const Store store = Store::open(store_folder, Store::Access::Read);
  const std::optional<WatchedRun> run = latest_run(store, experiment);
  if (!run)
    throw Error(ExitCode::Usage,
                experiment.empty() ? "nothing has been run in this store"
                                   : "\"" + experiment + "\" has not been run in this store",
                "`perturb run FILE` runs it");
  const StopSignals signals;
  Watcher watcher(store, *run);
  Display display(context);
  while (true) {
    const Clock::time_point begun = Clock::now();
    const Sight sight = watcher.look();
    display.show(sight);
    if (!sight.run.outcome.empty()) break;
    // Of a large store at most a tenth of the time: the run needs the processor, too.
    const Clock::duration taken = Clock::now() - begun;
    if (!wait(std::max<Clock::duration>(std::chrono::seconds(1), 10 * taken), signals))
      return signals.code();
  }
  display.end();
  return ExitCode::Done;
}

}  // namespace perturb
