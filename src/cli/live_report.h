// Tells onlookers (`perturb status --watch`) how a run goes, by the store's live.json. Knows
// nothing of terminals; what it costs is a small file a second, in the thread that waits for others
// anyway.
#pragma once

#include <chrono>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <string>
#include <unordered_map>
#include <vector>

#include "perturb/execute/executor.h"
#include "perturb/plan/plan.h"
#include "perturb/store/live.h"

namespace perturb {

struct LiveReportOptions {
  std::filesystem::path folder;                         ///< of the store
  std::int64_t run = 0;                                 ///< runs.id
  std::int64_t trials = 0;                              ///< to be carried out
  std::function<std::string(std::size_t number)> name;  ///< of a trial
  std::function<const Stage&(std::size_t stage)> stage;
  std::function<std::chrono::steady_clock::time_point()> clock = std::chrono::steady_clock::now;
};

class LiveReport {
 public:
  explicit LiveReport(LiveReportOptions options);
  /// Removes the file: the store says the rest.
  ~LiveReport();
  LiveReport(const LiveReport&) = delete;
  LiveReport& operator=(const LiveReport&) = delete;

  void ended(std::size_t trial, const Record& record);
  /// Writes at most once a second. `share` of the steps is taken, and it takes about `left` seconds
  /// more; negative: not known.
  void tick(const std::vector<Running>& running, double share, double left);

 private:
  using Time = std::chrono::steady_clock::time_point;
  /// What was seen of a stage, one look a write.
  struct Seen {
    Time since;  ///< when it was found to take steps
    std::int64_t since_step = -1;
    std::size_t every = 1;    ///< looks that one loss stands for; doubles when there are too many
    std::size_t skipped = 0;  ///< looks since the last loss that was kept
    std::vector<double> loss;
  };
  LiveStage look(const Running& running, Time now);

  LiveReportOptions options_;
  Live live_;
  Time written_{};
  bool first_ = true;
  std::unordered_map<std::size_t, Seen> seen_;  // by stage under way
};

}  // namespace perturb
