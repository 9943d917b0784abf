#include "report/page/answers.h"

#include <algorithm>

#include <fmt/format.h>

namespace perturb {

namespace {

std::string text_of(const Cell& cell) {
  if (const auto* integer = std::get_if<std::int64_t>(&cell)) return std::to_string(*integer);
  if (const auto* number = std::get_if<double>(&cell)) return fmt::format("{}", *number);
  if (const auto* text = std::get_if<std::string>(&cell)) return *text;
  return "";
}

}  // namespace

HtmlTable table_of(const Table& table) {
  HtmlTable all;
  for (const std::string& name : table.columns) all.columns.push_back({name});
  for (std::size_t i = 0; i < table.columns.size(); ++i) {
    all.columns[i].number = std::ranges::all_of(
        table.rows, [&](const auto& row) { return !std::holds_alternative<std::string>(row[i]); });
  }
  for (const auto& row : table.rows) {
    HtmlTable::Row& line = all.rows.emplace_back();
    for (const Cell& cell : row) line.cells.push_back(text_of(cell));
  }
  return all;
}

}  // namespace perturb
