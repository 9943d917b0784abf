// Metrics that differ in one word, drawn as a coloured cell each: a weight norm by layer, accuracy
// by network. What differ in one number are curves (level_curve.h).
#pragma once

#include <string>
#include <vector>

#include "perturb/report/plot.h"

namespace perturb {

struct LevelCells {
  std::vector<std::string> parameters;  ///< the word is the value of one of them
  std::string across;                   ///< what the words are: "layers"
  std::string title;                    ///< of the figure, without where in the run
  std::string manner;                   ///< in the title of one metric: "layer by layer"
  bool leads = false;  ///< whether labels begin with the word: "originals.accuracy.mean"
  /// Whether each word has its place in all views, measured there or not; else each view has the
  /// words that it is measured of.
  bool same_places = false;
  std::string none;  ///< what to say if no metric is meant
};

/// Words across, variations and interventions down; a view for each metric that is measured of
/// several. `spec` has `metric`, a pattern of labels, `difference` and `at`.
Figure level_cells_figure(const PlotSpec& spec, const Results& results, LevelCells what);

}  // namespace perturb
