#include "cli/watch_view.h"

#include <algorithm>
#include <cmath>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "cli/meters.h"
#include "cli/wording.h"
#include "perturb/report/table.h"

namespace perturb {

namespace {

using Json = nlohmann::json;

constexpr std::size_t kCurve = 20;   // columns
constexpr double kLongSilence = 10;  // seconds; ten times as long as words usually take
constexpr std::size_t kEndedShown = 5;

bool went_wrong(Outcome outcome) {
  return outcome != Outcome::Done && outcome != Outcome::Interrupted;
}

std::string number_text(double value) {
  return std::isfinite(value) ? fmt::format("{:.4g}", value) : std::string("not finite");
}

std::string last_of(const std::vector<double>& values) {
  return values.empty() ? std::string() : number_text(values.back());
}

std::string rate_text(double rate) {
  if (rate <= 0) return "";
  return rate < 10 ? fmt::format("{:.1f}", rate)
                   : grouped(static_cast<std::int64_t>(std::min(rate, 1e15)));
}

double share_of(const LiveStage& stage) {
  // As doubles: the file may hold any numbers, and their differences overflow nothing.
  const double all = static_cast<double>(stage.end) - static_cast<double>(stage.begin);
  const double taken = static_cast<double>(stage.step) - static_cast<double>(stage.begin);
  return all > 0 ? taken / all : 0;
}

std::string name_text(const LiveStage& stage) {
  return stage.trials > 1 ? fmt::format("{}, for {} trials", stage.name, grouped(stage.trials))
                          : stage.name;
}

std::string head(const Sight& sight) {
  return printable(sight.run.experiment) + ": " + text_of(sight.counts);
}

std::string run_line(const Sight& sight) {
  std::string text = fmt::format("run {}", sight.run.id);
  if (!sight.run.outcome.empty()) return text + " " + printable(sight.run.outcome);
  if (!sight.live) {
    return text + fmt::format(", process {} on {}, since {}", sight.run.process,
                              printable(sight.run.host), printable(sight.run.started));
  }
  const Live& live = *sight.live;
  text += fmt::format("  {} {:3.0f}%  {}/{}", bar(live.share, 24), 100 * live.share,
                      grouped(live.over), counted(static_cast<std::size_t>(live.trials), "trial"));
  if (live.failed > 0) text += fmt::format("  {} failed", grouped(live.failed));
  if (sight.silent > kLongSilence)
    text += fmt::format("  no sign of life for {}", duration(sight.silent));
  else if (live.left >= 0)
    text += fmt::format("  {} left", duration(std::min(live.left, 1e12)));
  return text;
}

/// The lines of a table, each inked after it was cut: escape sequences take no columns.
class Lines {
 public:
  explicit Lines(const ViewSize& size)
      // One column less than there are: a full line would wrap on some terminals, and the next
      // redraw would miss it.
      : most_(size.width > 1 ? size.width - 1 : 79), color_(size.color) {}

  void add(const std::string& line, Ink ink = Ink::Plain) {
    all_.push_back(inked(shortened(line, most_), ink, color_));
  }
  /// `inks`: of the rows below the titles.
  void add(const TextTable& table, const std::vector<Ink>& inks) {
    const std::string text = table.text({.color = false, .width = most_});
    std::size_t row = 0;
    for (std::size_t at = 0; at < text.size(); ++row) {
      const std::size_t end = text.find('\n', at);
      add(text.substr(at, end - at), row == 0 ? Ink::Bold : inks.at(row - 1));
      at = end + 1;
    }
  }
  std::size_t size() const { return all_.size(); }
  std::vector<std::string> take() { return std::move(all_); }

 private:
  std::size_t most_;
  bool color_;
  std::vector<std::string> all_;
};

void add_running(Lines& lines, const Live& live, std::size_t most) {
  TextTable table({{.title = "under way", .flexible = true},
                   {""},
                   {"step", Align::Right},
                   {"steps/s", Align::Right},
                   {"loss", Align::Right},
                   {""}});
  const std::size_t shown = std::min(live.running.size(), most);
  for (std::size_t i = 0; i < shown; ++i) {
    const LiveStage& stage = live.running[i];
    table.add({name_text(stage), bar(share_of(stage), 10),
               fmt::format("{}/{}", stage.step, stage.end), rate_text(stage.rate),
               last_of(stage.loss), sparkline(stage.loss, kCurve)});
  }
  lines.add("");
  lines.add(table, std::vector<Ink>(shown));
  if (const auto more = live.stages - std::ssize(live.running) +
                        static_cast<std::int64_t>(live.running.size() - shown);
      more > 0)
    lines.add(fmt::format("and {} more", grouped(more)));
}

void add_ended(Lines& lines, const Sight& sight, std::size_t most) {
  TextTable table({{.title = "ended", .flexible = true},
                   {""},
                   {"step", Align::Right},
                   {sight.metric, Align::Right},
                   {""}});
  std::vector<Ink> inks;
  for (std::size_t i = sight.ended.size(); i > 0 && inks.size() < most; --i) {
    const WatchedTrial& one = sight.ended[i - 1];
    table.add({one.trial.name, std::string(name_of(one.trial.outcome)),
               std::to_string(one.trial.step), last_of(one.values), sparkline(one.values, kCurve)});
    inks.push_back(went_wrong(one.trial.outcome) ? Ink::Yellow : Ink::Plain);
  }
  lines.add("");
  lines.add(table, inks);
}

Json numbers(const std::vector<double>& values) {
  Json all = Json::array();
  for (const double value : values) all.push_back(std::isfinite(value) ? Json(value) : Json());
  return all;
}

}  // namespace

std::string text_of(const TrialCounts& counts) {
  std::string text = counted(static_cast<std::size_t>(counts.trials), "trial") + ":";
  const auto add = [&](std::int64_t n, std::string_view what) {
    if (n > 0) text += fmt::format("{}{} {}", text.back() == ':' ? " " : ", ", grouped(n), what);
  };
  add(counts.done, "done");
  add(counts.diverged, "diverged");
  add(counts.failed, "failed");
  add(counts.trials - counts.done - counts.diverged - counts.failed, "to run");
  if (text.back() == ':') text += " none";
  return text;
}

std::vector<std::string> lines_of(const Sight& sight, const ViewSize& size) {
  constexpr std::size_t kFixed = 8;  // head, run, and about each table a gap, titles, "and N more"
  Lines lines(size);
  lines.add(head(sight), Ink::Bold);
  lines.add(run_line(sight));
  const std::size_t room = size.height > kFixed ? size.height - kFixed : 0;
  const std::size_t ended = std::min({sight.ended.size(), kEndedShown, room / 2});
  const bool running = sight.live && !sight.live->running.empty();
  if (running && room > ended) add_running(lines, *sight.live, room - ended);
  if (ended > 0) add_ended(lines, sight, ended);
  return lines.take();
}

Json json_of(const Sight& sight) {
  Json json = {{"experiment", sight.run.experiment},
               {"run", sight.run.id},
               {"outcome", sight.run.outcome.empty() ? Json() : Json(sight.run.outcome)},
               {"trials", sight.counts.trials},
               {"done", sight.counts.done},
               {"diverged", sight.counts.diverged},
               {"failed", sight.counts.failed},
               {"share", nullptr},
               {"seconds_left", nullptr},
               {"running", Json::array()},
               {"metric", sight.metric},
               {"ended", Json::array()}};
  if (sight.live) {
    json["share"] = sight.live->share;
    if (sight.live->left >= 0) json["seconds_left"] = sight.live->left;
    for (const LiveStage& stage : sight.live->running) {
      json["running"].push_back({{"number", stage.number},
                                 {"name", stage.name},
                                 {"trials", stage.trials},
                                 {"begin", stage.begin},
                                 {"step", stage.step},
                                 {"end", stage.end},
                                 {"rate", stage.rate},
                                 {"loss", numbers(stage.loss)}});
    }
  }
  for (const WatchedTrial& one : sight.ended) {
    json["ended"].push_back({{"number", one.trial.number},
                             {"name", one.trial.name},
                             {"outcome", name_of(one.trial.outcome)},
                             {"step", one.trial.step},
                             {"values", numbers(one.values)}});
  }
  return json;
}

std::string farewell(const Sight& sight) {
  const std::string& outcome = sight.run.outcome;
  if (outcome == "done") return "the run is over: done";
  if (outcome == "failed")
    return "the run is over: some trials failed; `perturb status FILE` names them";
  if (outcome == "interrupted") return "the run was interrupted: `perturb run` goes on with it";
  return "the run has died: `perturb run` goes on with what it left";
}

std::vector<std::string> events_between(const Sight* before, const Sight& now) {
  std::vector<std::string> events;
  if (!before || !now.live) return events;
  const std::int64_t known = before->live ? before->live->over : 0;
  const std::int64_t n = std::max<std::int64_t>(0, now.live->over - known);
  const std::int64_t named = std::min(n, std::ssize(now.ended));
  if (n > named) events.push_back(fmt::format("{} trials ended", grouped(n - named)));
  for (std::int64_t i = named; i > 0; --i) {
    const WatchedTrial& one = now.ended[now.ended.size() - static_cast<std::size_t>(i)];
    std::string line =
        fmt::format("{} {}/{}  {}  at step {}", name_of(one.trial.outcome), now.live->over - i + 1,
                    now.live->trials, printable(one.trial.name), one.trial.step);
    if (!one.values.empty())
      line += fmt::format("  {} {}", printable(now.metric), last_of(one.values));
    events.push_back(std::move(line));
  }
  return events;
}

}  // namespace perturb
