// Writes the report of an experiment: once for `report`, and again and again for `run --report`.
#pragma once

#include <chrono>
#include <filesystem>
#include <optional>
#include <string>

#include "cli/commands.h"
#include "perturb/experiment/experiment.h"
#include "perturb/plan/plan.h"
#include "perturb/report/summary.h"
#include "perturb/store/store.h"

namespace perturb {

/// A file that is no page of ours is not replaced: Error(Usage).
void check_page(const std::filesystem::path& path);

class ReportWriter {
 public:
  struct Options {
    std::filesystem::path file;  ///< of the experiment
    std::filesystem::path page;  ///< empty: the experiment file's name with .html, here
    SummaryOptions summary;
  };
  /// Everything must outlive it. Throws if the page may not be written there.
  ReportWriter(Context& context, const Experiment& experiment, const Store& store, Options options);

  const std::filesystem::path& page() const { return options_.page; }

  /// Throws what stands in the way.
  void write(const Plan& plan) { write(plan, /*refresh=*/0); }

  /// While a run goes on: writes a page that loads itself anew, if it is time for one. Time is
  /// when two hundred times as long has passed as the last one took, so that it costs the run 0.5%
  /// at most. What stands in the way stops nothing; it is returned once, as a line of text.
  std::string follow(const Plan& plan);

 private:
  void write(const Plan& plan, int refresh);

  using Clock = std::chrono::steady_clock;
  Context& context_;
  const Experiment& experiment_;
  const Store& store_;
  Options options_;
  Clock::time_point next_ = Clock::now();
  bool told_ = false;
};

}  // namespace perturb
