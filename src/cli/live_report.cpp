#include "cli/live_report.h"

#include <algorithm>
#include <utility>

namespace perturb {

namespace {

constexpr auto kEvery = std::chrono::seconds(1);

void halve(std::vector<double>& values) {
  for (std::size_t i = 0; 2 * i + 1 < values.size(); ++i) values[i] = values[2 * i + 1];
  values.resize(values.size() / 2);
}

}  // namespace

LiveReport::LiveReport(LiveReportOptions options) : options_(std::move(options)) {
  live_.run = options_.run;
  live_.trials = options_.trials;
}

LiveReport::~LiveReport() { remove_live(options_.folder); }

void LiveReport::ended(std::size_t trial, const Record& record) {
  ++live_.over;
  if (record.outcome != Outcome::Done && record.outcome != Outcome::Interrupted) ++live_.failed;
  if (live_.ended.size() == kMostLiveEnded) live_.ended.erase(live_.ended.begin());
  live_.ended.push_back({.number = static_cast<std::int64_t>(trial),
                         .name = {},  // when it is written, and most never are
                         .outcome = record.outcome,
                         .step = record.step});
}

void LiveReport::tick(const std::vector<Running>& running, double share, double left) {
  const Time now = options_.clock();
  if (!std::exchange(first_, false) && now - written_ < kEvery) return;
  written_ = now;
  ++live_.beat;
  live_.share = std::clamp(share, 0.0, 1.0);
  live_.left = left;
  live_.stages = std::ssize(running);
  live_.running.clear();
  for (std::size_t i = 0; i < std::min(running.size(), kMostLiveStages); ++i)
    live_.running.push_back(look(running[i], now));
  std::erase_if(seen_, [&](const auto& one) {
    return std::ranges::none_of(
        running, [&](const Running& under_way) { return under_way.number == one.first; });
  });
  for (LiveEnded& one : live_.ended) {
    if (one.name.empty()) one.name = options_.name(static_cast<std::size_t>(one.number));
  }
  // On a full disk there is nothing to see; that is no reason to stop.
  write_live(options_.folder, live_);
}

LiveStage LiveReport::look(const Running& running, Time now) {
  const Stage& stage = options_.stage(running.number);
  // Until it has begun, a stage stands at no step at all.
  const std::int64_t step =
      std::clamp<std::int64_t>(running.progress->step.load(), stage.begin, stage.end);
  Seen& seen = seen_[running.number];
  if (step > stage.begin) {
    if (seen.since_step < 0) {
      seen.since = now;
      seen.since_step = step;
    }
    if (++seen.skipped >= seen.every) {
      seen.skipped = 0;
      seen.loss.push_back(running.progress->loss.load());
    }
    // Even: the latest is among those that stay, and the next comes as far behind it.
    if (seen.loss.size() == kMostLiveLosses) {
      halve(seen.loss);
      seen.every *= 2;
    }
  }
  const double seconds = std::chrono::duration<double>(now - seen.since).count();
  const bool timed = seen.since_step >= 0 && seconds > 0;
  return {.number = static_cast<std::int64_t>(stage.trial),
          .name = options_.name(stage.trial),
          .trials = std::ssize(stage.trials),
          .begin = stage.begin,
          .step = step,
          .end = stage.end,
          .rate = timed ? static_cast<double>(step - seen.since_step) / seconds : 0,
          .loss = seen.loss};
}

}  // namespace perturb
