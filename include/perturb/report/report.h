// The report: everything that is known of an experiment on one page that opens offline, anywhere.
// Its figures are those of `show`; nothing in it can become a script (the page forbids all but its
// own).
#pragma once

#include <string>
#include <utility>
#include <vector>

#include "perturb/report/plot.h"
#include "perturb/report/results.h"
#include "perturb/report/summary.h"

namespace perturb {

struct ReportOptions {
  SummaryOptions
      summary;  ///< without metrics: all that the experiment has, what `show` shows first
  /// Empty: those of the file, or else `default_plots`.
  std::vector<PlotSpec> plots;
  /// Those that there are.
  Registry<Plotter> plotters = perturb::plotters();
  std::string file;     ///< as the user named it, for the commands that the page suggests
  std::string command;  ///< that writes the page
  std::string written;  ///< when: UTC, ISO 8601
  /// What the plan knows of the work, as (name, text).
  std::vector<std::pair<std::string, std::string>> work;
  /// Seconds after which the page loads itself anew; 0: the sweep is over.
  int refresh = 0;
};

/// The whole page. Built without npm it has tables where figures would be.
std::string report_page(const Results& results, const Store& store, const ReportOptions& options);

/// A page of figures alone, for `plot`.
std::string figures_page(const std::string& title, const std::vector<Figure>& figures);

}  // namespace perturb
