// The table of an experiment's results, as `show` and the end of `run` print it.
#pragma once

#include <string>
#include <vector>

#include "cli/commands.h"
#include "perturb/experiment/experiment.h"
#include "perturb/plan/plan.h"
#include "perturb/report/results.h"
#include "perturb/report/summary.h"

namespace CLI {
class App;
}

namespace perturb {

struct SummaryArguments {
  std::vector<std::string> metrics;
  std::vector<std::string> by;
  bool all = false;  ///< every row
  std::string at = "last";
  bool seeds = false;  ///< a row a trial
  bool csv = false;
  bool spreadsheet = false;  ///< CSV for one

  /// What to show: --metric, --by.
  void add_selection_to(CLI::App& command);
  /// --at
  void add_place_to(CLI::App& command);
  /// How: --all.
  void add_all_to(CLI::App& command);
  /// --seeds, --csv, --spreadsheet.
  void add_views_to(CLI::App& command);
  SummaryOptions options() const;
};

/// Says on stderr when results that stand side by side were computed by different libraries or on
/// different kinds of machine: they are used, but need not agree in the last bits (law 3).
void note_fingerprints(Context& context, const std::string& experiment, const Store& store);

/// What the store knows of the plan's trials; experiment and store must outlive it.
Results results_of(const Experiment& experiment, const Plan& plan, const Store& store);

/// Says on stderr what is beyond what it is when all is well (report/caution.h), whatever the form
/// of the table is.
void warn_of_cautions(Context& context, const Results& results);

/// The table on stdout, and cautions.
void show_summary(Context& context, const Experiment& experiment, const Plan& plan,
                  const Store& store, const SummaryArguments& arguments);

}  // namespace perturb
