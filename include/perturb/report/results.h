// What the store knows of one experiment, as tables, plots and reports read it: the summary that
// `show` prints, the raw values, and how metrics went over the run. Reads what it is asked for,
// and trains nothing.
//
// Law: a picture says what the table says. Everybody reads through here, so that who counts, which
// states are looked at and what is left out is decided once.
#pragma once

#include <cstddef>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "perturb/core/digest.h"
#include "perturb/experiment/experiment.h"
#include "perturb/report/summary.h"
#include "perturb/store/store.h"

namespace perturb {

/// The value of a metric at a state of a trial.
struct MetricPoint {
  Step step = 0;
  double epoch = 0;
  double value = 0;  ///< NaN and infinities are values
};
using MetricHistory = std::vector<MetricPoint>;  ///< of one trial, by step

/// Not for several threads at once: it keeps what it read.
class Results {
 public:
  /// `ends` are the steps at which the members end, by trial number, `trials` their ids; as the
  /// plan has them. Both references must outlive this.
  Results(const Experiment& experiment, const Store& store, std::vector<Digest> trials,
          std::vector<Step> ends);

  const Experiment& experiment() const { return experiment_; }

  /// The figures of `show`, made once for the same options. Unknown metrics and factors, and places
  /// where nothing is measured, are Error(Usage).
  const Summary& summary(const SummaryOptions& options) const;
  /// With the trials one by one, which costs making each of them.
  struct View {
    Summary summary;
    std::vector<Replicate> replicates;  ///< row by row
  };
  View view(const SummaryOptions& options) const;

  /// By trial number: the metric (in Experiment::metrics()) at the states at which the experiment
  /// asks for it, up to the trial's end. Read once, and fast: 20,000 values in some 50 ms.
  const std::vector<MetricHistory>& history(std::size_t metric) const;

  /// How a member stands at its end.
  Standing standing(std::size_t number) const;
  /// Its levels: every field of its condition, and "set.PATH" and "KIND.PARAMETER" of its
  /// intervention. Of a factor that it has twice, the later.
  const std::map<std::string, Value>& levels(std::size_t number) const;
  /// The level that all trials of a summary's row have in common, if there is one.
  std::optional<Value> level(const SummaryRow& row, const std::string& factor) const;

 private:
  std::vector<Observation> observe(const SummaryOptions& options) const;

  const Experiment& experiment_;
  const Store& store_;
  std::vector<Digest> trials_;
  std::vector<Step> ends_;
  mutable std::map<std::size_t, std::vector<MetricHistory>> histories_;
  mutable std::vector<Observation> standings_;
  mutable std::map<std::string, Summary> summaries_;  // by what was asked for
  mutable std::map<std::size_t, std::map<std::string, Value>> levels_;
};

}  // namespace perturb
