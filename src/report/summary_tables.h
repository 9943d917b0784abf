// The tables of a summary as cells: what a terminal and a page show is the same.
#pragma once

#include <cstddef>
#include <optional>
#include <string>
#include <vector>

#include "perturb/report/summary.h"
#include "perturb/report/table.h"

namespace perturb {

struct SummaryTable {
  std::string title;
  std::vector<TextTable::Column> columns;
  struct Line {
    std::size_t row = 0;             ///< in Summary::rows
    std::vector<std::string> cells;  ///< one a column; the levels of Summary::by come first
  };
  std::vector<Line> lines;
};

/// What was measured, a line a row.
SummaryTable value_table(const Summary& summary, std::size_t quantity);
/// What interventions changed, without the columns that are empty; nothing if nothing is compared.
std::optional<SummaryTable> difference_table(const Summary& summary, std::size_t quantity);
/// What has to be known of the figures in them, a sentence each.
std::vector<std::string> notes(const Summary& summary);

/// Why a trial has no figure: "to run", "diverged", ...; empty if it has one.
std::string lack(const Replicate& replicate, const Reading& reading);

}  // namespace perturb
