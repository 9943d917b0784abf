// What plotters are made of: which trials a plot is about, in which panels and series they are
// drawn, and the pieces of a Vega-Lite specification that hold whatever things are called.
//
// A field's name is a path to Vega ("a.b[0]"), and much that looks like text is an expression. So
// fields are called f0, f1, ... after the columns of a table, and names of the user's appear as
// values of the data, members of domains, and titles alone.
#pragma once

#include <cstddef>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include <nlohmann/json.hpp>

#include "perturb/experiment/experiment.h"
#include "perturb/report/plot.h"
#include "perturb/report/results.h"
#include "perturb/report/summary.h"

namespace perturb {

// Parameters, which validation has seen to be there and of their type.

const std::string& text_of(const PlotSpec& spec, const std::string& parameter);
bool flag_of(const PlotSpec& spec, const std::string& parameter);
const std::string& metric_of(const PlotSpec& spec);

/// What is asked of the results: these metrics, the plot's `at` and `average_over`.
SummaryOptions summary_options(const PlotSpec& spec, std::vector<std::string> metrics);

// Names.

/// Printable, and no wider than so many columns.
std::string label_text(std::string_view text, std::size_t width = 56);
/// "optimizer.lr = 0.1, model.kind = mlp"; empty without levels.
std::string levels_label(const Summary& summary, const SummaryRow& row);
/// The intervention, with the levels where there are any.
std::string row_label(const Summary& summary, const SummaryRow& row);
/// "test.accuracy at the end of the run".
std::string title(const Summary& summary, std::size_t quantity);
/// "4 trials"; "1 trial".
std::string how_many(std::size_t n, std::string_view noun);
/// "n = 4", "n = 3 to 5": of the n that are drawn.
std::string said_n(std::span<const std::size_t> all);

/// What is not in the picture, in a sentence each; empty if everything is: trials that failed,
/// diverged or are still to run, that were not measured, and values that are not finite.
std::string left_out(const Summary& summary, std::size_t quantity,
                     std::string_view how = "Left out");

// Series and panels.

inline constexpr std::size_t kSeriesColors = 6;  ///< beside the control's
inline constexpr std::size_t kMostPanels = 24;

/// Rows that are compared in one frame.
struct Series {
  std::size_t row = 0;  ///< in Summary::rows
  std::string label;    ///< no two of a panel are the same
  bool control = false;
};
/// Makes labels differ that are the same after having been cut: "label (2)".
void make_unique(std::vector<Series>& series);
struct Panel {
  std::string title;
  std::vector<Series> series;  ///< the control first, if there is one
};
struct Panels {
  std::vector<Panel> panels;
  std::size_t left_out = 0;  ///< more than can be looked at
};
/// A panel for every combination of levels; where there are more interventions than `most_series`,
/// several, each with the control. Without interventions the levels are the series.
Panels panels(const Summary& summary, std::size_t most_series = kSeriesColors);
/// " 3 more panels are not drawn: ...", or nothing.
std::string said_left_out(const Panels& panels);

// Data.

/// What a specification calls the column: "f0".
std::string field(std::size_t column);
/// The table as inline data. What is absent or not finite is left out.
nlohmann::json inline_data(const Table& table);
/// Data for a mark that is there once, and takes its place from the specification.
nlohmann::json one_row();
/// Places of at most about `most` of the points: the ends, and of every stretch the least and the
/// greatest, so that no spike is lost. NaN must not be among them.
std::vector<std::size_t> thinned(std::span<const double> values, std::size_t most = 2'000);

// Specifications.

/// An empty one of that title, for readers of screens with the caption.
nlohmann::json chart(const Figure& figure);
/// The title of one of several views.
nlohmann::json panel_title(std::string_view text);
/// A figure that has nothing to draw, and says why.
Figure nothing(Figure figure, std::string_view why);
enum class Scales {
  Own,     ///< each view has its own
  Shared,  ///< x and y of all views run over the same values
};
/// Views side by side in rows of `columns`. There is one legend where `panels` have the same
/// series, else each view has its own.
void lay_out(nlohmann::json& chart, std::vector<nlohmann::json> views, std::size_t columns,
             Scales scales, const Panels& panels = {});
/// Numbers, from 0 on only if they come near it.
nlohmann::json quantity_axis(std::size_t column, std::string_view title);
/// Names in the order of the data, of which the longest are shortened.
nlohmann::json name_axis(std::size_t column, std::string_view title);

enum class Mark { Line, Point, Area };
/// The channels by which series are told apart: colour, and dash or shape, so that it is read
/// without colour.
nlohmann::json series_encoding(const Panel& panel, std::size_t column, Mark mark);

// Queries.

enum class Values {
  Themselves,   ///< the view `results`
  Differences,  ///< the view `contrasts`
};
/// The values behind a summary, a line a trial and metric.
std::string values_query(const Results& results, const Summary& summary, Values values);
/// The values over the run, a line a trial, step and metric.
std::string history_query(const Results& results, const Summary& summary);

}  // namespace perturb
