// The table that answers an experiment's question: control and interventions as rows, grouped
// over replicates, each intervention against its control. Figures only; rendering is separate.
//
// Raw statistics of replicates; effect sizes, exact tests and corrections for many comparisons
// belong to the `contrasts` of a later release and will stand in further columns.
#pragma once

#include <cstddef>
#include <optional>
#include <string>
#include <vector>

#include "perturb/core/digest.h"
#include "perturb/experiment/experiment.h"
#include "perturb/report/statistics.h"
#include "perturb/store/store.h"

namespace perturb {

/// How a member of the experiment stands, as a table counts it.
enum class Standing {
  Missing,  ///< not carried out yet, interrupted, or not as far as asked
  Done,
  Diverged,
  Failed,  ///< in whatever way
};

/// One member of the experiment, by trial number.
struct Observation {
  Digest trial;
  Standing standing = Standing::Missing;
  std::vector<double> values;  ///< one a metric; NaN where there is none
};

struct SummaryOptions {
  /// Labels of metrics; empty: test.accuracy and test.loss, or else the first two there are.
  std::vector<std::string> metrics;
  /// Factors whose levels get rows of their own. Nothing: every factor that varies but seeds,
  /// which are replicates.
  std::optional<std::vector<std::string>> by;
};

struct SummaryCell {
  Sample value;
  /// Intervention minus control, paired by variation. With several variations the differences
  /// are first averaged within each: trials that share a control are not independent.
  /// n = 0 for a control.
  Sample difference;
  std::size_t not_finite = 0;  ///< values left out because they are NaN or infinite
};

struct SummaryRow {
  std::vector<std::string> levels;  ///< of Summary::by
  std::string intervention;         ///< "control" for a control
  bool control = false;
  std::size_t trials = 0;  ///< distinct ones
  std::size_t done = 0;
  std::size_t diverged = 0;
  std::size_t failed = 0;
  std::size_t missing = 0;
  std::vector<SummaryCell> cells;  ///< one a metric
};

struct Summary {
  std::vector<std::string> metrics;
  std::vector<std::string> by;
  std::vector<std::string> replicates;  ///< factors that vary within a row
  std::vector<SummaryRow> rows;
};

/// The metrics of `options`, resolved. An unknown label is an Error(Usage).
std::vector<std::string> summary_metrics(const Experiment& experiment,
                                         const SummaryOptions& options);

/// What the store knows of each member at the last state that its metrics are measured on.
/// `ends` are the steps at which the members end, by trial number, `trials` their ids.
std::vector<Observation> observe(const Experiment& experiment, const Store& store,
                                 const std::vector<Digest>& trials, const std::vector<Step>& ends,
                                 const std::vector<std::string>& metrics);

/// `observations` by trial number. An unknown factor in `options.by` is an Error(Usage).
Summary summarise(const Experiment& experiment, const std::vector<Observation>& observations,
                  const SummaryOptions& options);

struct SummaryStyle {
  bool color = false;
  std::size_t most_rows = 0;  ///< 0: all of them
  std::size_t width = 0;      ///< columns there are; 0: as many as it takes
};
/// One table a metric, with notes that say what replicates and intervals are.
std::string render(const Summary& summary, const SummaryStyle& style);

std::string to_json(const Summary& summary);

}  // namespace perturb
