// Metrics that differ in the level of one number, drawn as one curve over its levels: scores over
// strengths of noise, a loss over values of a parameter.
#pragma once

#include <cstddef>
#include <string>
#include <vector>

#include "perturb/report/plot.h"

namespace perturb {

struct LevelCurve {
  std::string name;                  ///< of the value, upwards
  std::string title;                 ///< of the figure, without where in the run
  std::string parameter;             ///< what has levels, in a word: "strength"
  std::string across;                ///< the title of its axis
  bool decades = false;              ///< levels that are spread over decades get room
  std::vector<double> levels;        ///< ascending, no two the same
  std::vector<std::size_t> metrics;  ///< one a level: its place among the metrics
};

/// Replicates thin, their mean thick with its 95% interval, the control black.
Figure level_figure(const PlotSpec& spec, const Results& results, LevelCurve curve);

}  // namespace perturb
