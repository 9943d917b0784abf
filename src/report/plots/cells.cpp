#include "report/plots/cells.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include <fmt/format.h>

namespace perturb {

using nlohmann::json;

namespace {

// Columns of the data.
enum : std::size_t { kX, kY, kValue, kText, kLight };

/// Whether white is read better than black on the colour of the value.
bool is_dark(double value, std::pair<double, double> range, bool centred) {
  const double share = (value - range.first) / (range.second - range.first);
  // viridis goes from dark to light; blue and orange are dark at both ends.
  return centred ? std::fabs(share - 0.5) > 0.36 : share < 0.55;
}

json name_channel(std::size_t column, const std::string& title,
                  const std::vector<std::string>& names) {
  json channel = name_axis(column, title);
  channel["scale"] = {{"domain", names}};
  return channel;
}

}  // namespace

std::pair<double, double> color_range(const std::vector<CellGrid>& grids, bool centred) {
  double least = std::numeric_limits<double>::infinity();
  double greatest = -least;
  for (const CellGrid& grid : grids) {
    for (const auto& cell : grid.cells) {
      least = std::min(least, cell.value);
      greatest = std::max(greatest, cell.value);
    }
  }
  if (centred) {
    greatest = std::max(std::fabs(least), std::fabs(greatest));
    least = -greatest;
  }
  if (least < greatest) return {least, greatest};
  const double margin = greatest == 0 ? 1 : std::fabs(greatest) / 2;
  return {greatest - margin, greatest + margin};
}

json cell_view(const CellGrid& grid, std::pair<double, double> range, bool centred) {
  Table data{{"x", "y", "value", "text", "light"}, {}};
  std::size_t widest = 4;
  for (const auto& cell : grid.cells) {
    widest = std::max(widest, cell.text.size());
    data.rows.push_back({grid.across[cell.x], grid.down[cell.y], cell.value, cell.text,
                         std::int64_t{is_dark(cell.value, range, centred)}});
  }
  json x = name_channel(kX, grid.x_title, grid.across);
  const bool slanted = std::ranges::any_of(
      grid.across, [&](const std::string& name) { return name.size() > widest + 3; });
  x["axis"] = {{"labelAngle", slanted ? -40 : 0}};
  const json y = name_channel(kY, grid.y_title, grid.down);
  const json color = {
      {"field", field(kValue)},
      {"type", "quantitative"},
      {"title", nullptr},
      {"legend", {{"gradientLength", 110}}},
      {"scale",
       {{"domain", {range.first, range.second}}, {"range", centred ? "diverging" : "heatmap"}}}};
  json view = {
      {"width", {{"step", std::max<std::size_t>(46, 8 * widest)}}},
      // High enough for the axis' title.
      {"height", {{"step", std::max<std::size_t>(30, 120 / grid.down.size())}}},
      {"data", inline_data(data)},
      {"layer",
       {{{"mark", {{"type", "rect"}, {"stroke", nullptr}}},
         {"encoding", {{"x", x}, {"y", y}, {"color", color}}}},
        {{"mark", {{"type", "text"}, {"fontSize", 11}}},
         {"encoding",
          {{"x", x},
           {"y", y},
           {"text", {{"field", field(kText)}, {"type", "nominal"}}},
           {"color",
            {{"condition",
              {{"test", fmt::format("datum.{} === 1", field(kLight))}, {"value", "#ffffff"}}},
             {"value", "#000000"}}}}}}}}};
  if (!grid.title.empty()) view["title"] = panel_title(grid.title);
  return view;
}

}  // namespace perturb
