#include <algorithm>

#include <fmt/format.h>

#include "perturb/report/summary.h"
#include "perturb/report/table.h"
#include "report/summary_tables.h"

namespace perturb {

namespace {

/// At most `style.most_rows` lines, and how many there are more.
std::string render(const Summary& summary, const SummaryTable& table, const SummaryStyle& style) {
  TextTable text(table.columns);
  const std::size_t shown =
      style.most_rows == 0 ? table.lines.size() : std::min(table.lines.size(), style.most_rows);
  const std::vector<std::string>* above = nullptr;
  for (std::size_t i = 0; i < shown; ++i) {
    const SummaryRow& row = summary.rows[table.lines[i].row];
    std::vector<std::string> cells = table.lines[i].cells;
    const bool same_group = above && *above == row.levels;
    if (above && !same_group) text.add_gap();
    // The levels once a group: what repeats is not read.
    if (same_group) std::fill_n(cells.begin(), row.levels.size(), "");
    const bool trouble = row.diverged + row.failed > 0;
    text.add(std::move(cells), trouble ? Ink::Yellow : row.control ? Ink::Bold : Ink::Plain);
    above = &row.levels;
  }
  std::string all = inked(table.title, Ink::Bold, style.color) + "\n" +
                    text.text({.color = style.color, .width = style.width});
  if (shown < table.lines.size())
    all += fmt::format("and {} more rows\n", table.lines.size() - shown);
  return all;
}

}  // namespace

std::string render(const Summary& summary, const SummaryStyle& style) {
  std::string all;
  for (std::size_t quantity = 0; quantity < summary.quantities.size(); ++quantity) {
    all += (quantity > 0 ? "\n" : "") + render(summary, value_table(summary, quantity), style);
    if (const auto table = difference_table(summary, quantity))
      all += "\n" + render(summary, *table, style);
  }
  std::string said;
  for (const std::string& note : notes(summary)) said += note + "\n";
  return said.empty() ? all : all + "\n" + inked(said, Ink::Faint, style.color);
}

}  // namespace perturb
