// The table that answers an experiment's question: control and interventions as rows, grouped
// over replicates, each intervention against its control. Figures only; rendering is separate.
#pragma once

#include <cstddef>
#include <optional>
#include <string>
#include <vector>

#include "perturb/core/digest.h"
#include "perturb/experiment/experiment.h"
#include "perturb/report/observe.h"
#include "perturb/report/quantity.h"
#include "perturb/report/statistics.h"
#include "perturb/report/table.h"

namespace perturb {

struct SummaryOptions {
  std::vector<std::string> metrics;  ///< as `quantities` reads them
  /// Factors whose levels get rows of their own. Nothing: every factor that varies but seeds,
  /// which are replicates.
  std::optional<std::vector<std::string>> by;
  /// Factors that get no rows of their own although they would otherwise: like seeds, they are
  /// replicates. Those of interventions, too.
  std::vector<std::string> average_over;
  At at;
};

struct SummaryCell {
  Sample value;
  /// In pairs of one control each: trials that share a control are not independent, so their
  /// differences are averaged first. But where the row has one control only, every trial is a pair,
  /// and what is said holds for this control. n = 0 for a control.
  Comparison against;
  std::size_t pairs = 0;       ///< that there would be if nothing had failed or were missing
  bool one_control = false;    ///< of several pairs
  std::size_t family = 0;      ///< comparisons, this one included, that p_holm is corrected for
  std::size_t not_finite = 0;  ///< values left out because they are NaN or infinite
  std::size_t unmeasured = 0;  ///< trials that were not measured there
  std::size_t never = 0;       ///< trials that never reached the threshold
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
  std::vector<std::size_t> numbers;  ///< of the trials
  std::vector<SummaryCell> cells;    ///< one a quantity
};

struct Summary {
  std::vector<Quantity> quantities;
  At place;
  std::vector<std::string> by;
  std::vector<std::string> replicates;  ///< factors that vary within a row
  std::vector<SummaryRow> rows;         ///< by group: a control, then its interventions
};

/// `observations` by trial number, of the quantities that `options` asks for. An unknown factor
/// in `options.by` is an Error(Usage).
Summary summarise(const Experiment& experiment, const std::vector<Observation>& observations,
                  const SummaryOptions& options);

struct SummaryStyle {
  bool color = false;
  std::size_t most_rows = 0;  ///< 0: all of them
  std::size_t width = 0;      ///< columns there are; 0: as many as it takes
};
/// Two tables a quantity, the values and the differences from the control, with notes that say what
/// the figures are.
std::string render(const Summary& summary, const SummaryStyle& style);

/// A trial of a row, as it is.
struct Replicate {
  std::size_t number = 0;  ///< of the trial
  std::size_t row = 0;     ///< in Summary::rows
  Digest trial;
  std::vector<std::string> levels;  ///< of Summary::replicates
  Standing standing = Standing::Missing;
  std::vector<Reading> readings;  ///< one a quantity
};
/// All trials of the summary, row by row.
std::vector<Replicate> replicates(const Experiment& experiment, const Summary& summary,
                                  const std::vector<Observation>& observations);
/// One table a quantity, a line a trial.
std::string render(const Summary& summary, const std::vector<Replicate>& replicates,
                   const SummaryStyle& style);

// As data: every figure with all its digits. docs/statistics.md names the columns and keys.

/// With the replicates, if they are given.
std::string to_json(const Summary& summary, const std::vector<Replicate>* replicates = nullptr);
/// One line a row and quantity.
std::string to_csv(const Summary& summary, CsvReader reader = CsvReader::Program);
/// One line a trial and quantity.
std::string to_csv(const Summary& summary, const std::vector<Replicate>& replicates,
                   CsvReader reader = CsvReader::Program);

}  // namespace perturb
