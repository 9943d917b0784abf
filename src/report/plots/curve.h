// One frame of curves, as `curves` and `grid` draw them.
#pragma once

#include <cstddef>
#include <string>
#include <vector>

#include "perturb/report/chart.h"

namespace perturb {

struct CurveOptions {
  bool epochs = true;  ///< across; or else steps
  double width = 340;
  double height = 230;
  std::string y_title;
};

/// What was drawn, for captions.
struct CurveNotes {
  std::vector<std::size_t> n;  ///< trials behind each mean
  std::size_t trials = 0;      ///< that have a line of their own
  std::size_t too_many = 0;    ///< that have none, since they could not be told apart
  std::size_t not_finite = 0;  ///< values that were left out of a line
  bool thinned = false;        ///< some states were left out
  bool one_state = false;      ///< there is no line through one point
};

/// The panel's curves, and the means in `data`; nothing if there is no value. `quantity` of the
/// summary is a metric as it is.
nlohmann::json curve_view(const Results& results, const Summary& summary, std::size_t quantity,
                          const Panel& panel, const CurveOptions& options, Table& data,
                          CurveNotes& notes);
/// The columns of `data`: the panel's and series' names, then figures.
std::vector<std::string> curve_columns(bool epochs);
/// How to read it.
std::string curve_caption(const Summary& summary, const CurveNotes& notes, bool epochs);

}  // namespace perturb
