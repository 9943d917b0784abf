// What a run shows on stderr while it goes on: on a terminal a bar and the trials under way,
// redrawn in place; otherwise one line an event, fewer of them when there are thousands.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <string>
#include <unordered_map>
#include <vector>

#include "cli/output.h"
#include "perturb/execute/executor.h"
#include "perturb/plan/plan.h"
#include "perturb/store/record.h"

namespace perturb {

struct DisplayOptions {
  std::size_t trials = 0;                               ///< to be carried out
  std::int64_t steps = 0;                               ///< of all of them
  bool quiet = false;                                   ///< failures only
  std::function<std::string(std::size_t number)> name;  ///< of a trial, one line
  std::function<const Stage&(std::size_t stage)> stage;
  std::function<std::string(const Record&)> key_metric;  ///< "test.accuracy 0.871", or ""
  std::function<std::chrono::steady_clock::time_point()> clock = std::chrono::steady_clock::now;
};

class RunDisplay {
 public:
  RunDisplay(Output& output, DisplayOptions options);
  /// Takes the bar away.
  ~RunDisplay();
  RunDisplay(const RunDisplay&) = delete;
  RunDisplay& operator=(const RunDisplay&) = delete;

  void started(std::size_t stage);
  /// Steps were taken, whoever they were for.
  void kept(std::size_t stage, const Record& record);
  void ended(std::size_t trial, const Record& record);
  void tick(const std::vector<Running>& running);
  /// A line that stays, above the bar.
  void say(const std::string& text);

  /// The bar and the running trials, one line each, as a terminal of that width shows them.
  std::vector<std::string> lines(const std::vector<Running>& running, std::size_t width) const;
  /// Of the steps, taken: 0 to 1.
  double share(const std::vector<Running>& running) const;
  /// Seconds that are left at the speed so far; negative while nothing is known.
  double seconds_left(const std::vector<Running>& running) const;

 private:
  using Time = std::chrono::steady_clock::time_point;
  std::string position() const;
  /// Steps of those under way of which no record has come yet.
  std::int64_t steps_under_way(const std::vector<Running>& running) const;
  bool may_report();
  void erase();

  Output& output_;
  DisplayOptions options_;
  Time begun_;
  Time drawn_{};
  Time reported_;
  std::size_t ended_ = 0;
  std::size_t failed_ = 0;
  std::int64_t steps_done_ = 0;                                // of which a record has come
  std::unordered_map<std::size_t, std::int64_t> reported_to_;  // by stage
  std::size_t drawn_lines_ = 0;
};

}  // namespace perturb
