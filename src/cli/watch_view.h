// What `perturb status --watch` shows of a run that goes on: as lines for a terminal, as JSON, and
// the events between two looks. Looks at nothing itself; everything in it came from outside.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include <nlohmann/json_fwd.hpp>

#include "perturb/store/live.h"

namespace perturb {

/// A run as its row in the store says it.
struct WatchedRun {
  std::int64_t id = 0;
  std::string experiment;
  std::string host;
  std::int64_t process = 0;
  std::string started;
  std::string outcome;  ///< empty: under way
};

/// Trials of the experiment by how they stand.
struct TrialCounts {
  std::int64_t trials = 0;
  std::int64_t done = 0;
  std::int64_t diverged = 0;
  std::int64_t failed = 0;
  bool operator==(const TrialCounts&) const = default;
};

/// A trial that ended, with what was measured of it.
struct WatchedTrial {
  LiveEnded trial;
  std::vector<double> values;  ///< of Sight::metric, in step order; NaN where it is not a number
};

/// One look.
struct Sight {
  WatchedRun run;
  TrialCounts counts;
  std::optional<Live> live;         ///< nothing: the run has left no word of how it goes
  double silent = 0;                ///< seconds without a new one
  std::string metric;               ///< that the curves of `ended` are of; may be empty
  std::vector<WatchedTrial> ended;  ///< the latest, the very latest last
};

struct ViewSize {
  std::size_t width = 80;
  std::size_t height = 24;
  bool color = false;
};

/// No line is wider, nor are there more of them, than a terminal of that size shows.
std::vector<std::string> lines_of(const Sight& sight, const ViewSize& size);

nlohmann::json json_of(const Sight& sight);

/// "100 trials: 31 done, 1 diverged, 68 to run".
std::string text_of(const TrialCounts& counts);

/// "the run is over: done", and what to do next where it is not.
std::string farewell(const Sight& sight);

/// One line a trial that ended between the two; the first look has none before it.
std::vector<std::string> events_between(const Sight* before, const Sight& now);

}  // namespace perturb
