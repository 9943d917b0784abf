// A grid of coloured cells with their numbers in them, as `heatmap` and `layers` draw it.
#pragma once

#include <string>
#include <utility>
#include <vector>

#include "perturb/report/chart.h"

namespace perturb {

struct CellGrid {
  std::string title;    ///< of the view; may be empty
  std::string x_title;  ///< likewise
  std::string y_title;
  std::vector<std::string> across;  ///< names of columns, no two the same, from the left
  std::vector<std::string> down;    ///< of rows, from the top
  struct Cell {
    std::size_t x = 0;
    std::size_t y = 0;
    double value = 0;  ///< finite
    std::string text;
  };
  std::vector<Cell> cells;
};

/// The least and the greatest value, some way apart: what the colours run over. With `centred` 0
/// is in the middle.
std::pair<double, double> color_range(const std::vector<CellGrid>& grids, bool centred);

/// `centred`: the values are differences, and 0 is the colour in the middle.
nlohmann::json cell_view(const CellGrid& grid, std::pair<double, double> range, bool centred);

}  // namespace perturb
