// The two tables as CSV and JSON, and how they grow.
#include <algorithm>
#include <charconv>
#include <cmath>
#include <map>
#include <span>
#include <utility>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "perturb/core/error.h"
#include "perturb/report/robustness.h"
#include "perturb/report/table.h"

namespace perturb {

namespace {

using Json = nlohmann::ordered_json;
using Row = std::vector<Cell>;
using Rows = std::vector<Row>;

/// What stands in a column. Only a figure may be absent.
enum class Holds { Text, Whole, Strength, Figure };
struct Column {
  const char* name;
  Holds holds;
  /// Which network and strength the row is of.
  bool key() const { return holds != Holds::Figure; }
};
using Columns = std::span<const Column>;

constexpr Column kSummary[] = {{"architecture", Holds::Text},    {"regime", Holds::Text},
                               {"seed", Holds::Whole},           {"dataset", Holds::Text},
                               {"alpha_train", Holds::Strength}, {"acc_0", Holds::Figure},
                               {"acc_01", Holds::Figure},        {"drop_at_01", Holds::Figure}};
constexpr Column kSweep[] = {{"architecture", Holds::Text},    {"regime", Holds::Text},
                             {"seed", Holds::Whole},           {"dataset", Holds::Text},
                             {"alpha_train", Holds::Strength}, {"alpha_test", Holds::Strength},
                             {"acc", Holds::Figure},           {"loss", Holds::Figure}};

/// Where something stands, for messages: "summary.csv, line 3".
[[noreturn]] void refuse(const std::string& where, const std::string& what) {
  throw Error(ExitCode::Usage, where + ": " + what,
              "nothing was written: move that file away, or name another folder");
}

// Rows.

Cell figure(double value) { return std::isnan(value) ? Cell() : Cell(value); }

Row key_of(Columns columns, const Row& row) {
  Row key;
  for (std::size_t i = 0; i < columns.size(); ++i) {
    if (columns[i].key()) key.push_back(row[i]);
  }
  return key;
}

std::string said(const Row& key) {
  std::string all;
  for (const Cell& cell : key) {
    if (!all.empty()) all += ", ";
    if (const auto* text = std::get_if<std::string>(&cell)) all += *text;
    if (const auto* whole = std::get_if<std::int64_t>(&cell)) all += fmt::format("{}", *whole);
    if (const auto* number = std::get_if<double>(&cell)) all += fmt::format("{}", *number);
  }
  return all;
}

Row beginning(const NoisyScores& network) {
  return {network.architecture, network.noisy ? "noisy" : "clean", network.seed, network.dataset,
          network.alpha_train};
}

Rows summary_rows(const Robustness& robustness) {
  const auto at = [&](const NoisyScores& network, double strength) {
    const auto found = std::ranges::find(robustness.strengths, strength);
    return network.accuracy[static_cast<std::size_t>(found - robustness.strengths.begin())];
  };
  Rows rows;
  for (const NoisyScores& network : robustness.networks) {
    const double clean = at(network, 0);
    const double noisy = at(network, kDropAt);
    rows.push_back(beginning(network));
    rows.back().insert(rows.back().end(), {clean, noisy, clean - noisy});
  }
  return rows;
}

Rows sweep_rows(const Robustness& robustness) {
  Rows rows;
  for (const NoisyScores& network : robustness.networks) {
    for (std::size_t i = 0; i < robustness.strengths.size(); ++i) {
      rows.push_back(beginning(network));
      rows.back().insert(rows.back().end(),
                         {robustness.strengths[i], network.accuracy[i], figure(network.loss[i])});
    }
  }
  return rows;
}

// Cells as they stand in a file.

Cell read_number(Holds holds, double value, const std::string& where) {
  constexpr double kExact = 9007199254740992;  // 2^53: beyond it neighbours share a double
  if (holds == Holds::Figure) return figure(value);
  if (!std::isfinite(value)) refuse(where, "a key that is not finite");
  if (holds == Holds::Strength) return value + 0.0;  // -0 and 0 are one key
  if (value != std::floor(value) || std::fabs(value) > kExact)
    refuse(where, fmt::format("{} is no seed", value));
  return static_cast<std::int64_t>(value);
}

Cell read_text(Holds holds, const std::string& text, const std::string& where) {
  if (holds == Holds::Text) return text;
  if (holds == Holds::Figure && text.empty()) return {};
  const char* end = text.data() + text.size();
  std::int64_t whole = 0;
  // Not by way of a double, which has 53 bits.
  if (holds == Holds::Whole && std::from_chars(text.data(), end, whole).ptr == end && !text.empty())
    return whole;
  double value = 0;
  const auto [stop, error] = std::from_chars(text.data(), end, value);
  if (error != std::errc() || stop != end)
    refuse(where, fmt::format("\"{}\" is no number", shortened(text, 40)));
  return read_number(holds, value, where);
}

Cell read_json(Holds holds, const Json& json, const std::string& where) {
  if (holds == Holds::Text && json.is_string()) return json.get<std::string>();
  if (holds == Holds::Figure && json.is_null()) return {};
  if (holds == Holds::Whole && json.is_number_integer() &&
      !(json.is_number_unsigned() && json.get<std::uint64_t>() > INT64_MAX))
    return json.get<std::int64_t>();
  if (holds == Holds::Text || !json.is_number())
    refuse(where, "a value of another type than the column's");
  return read_number(holds, json.get<double>(), where);
}

// CSV, as in RFC 4180.

/// Reads cells one by one.
class CsvText {
 public:
  CsvText(std::string_view text, std::string file) : text_(text), file_(std::move(file)) {}

  bool at_end() const { return at_ == text_.size(); }
  std::string where() const { return fmt::format("{}, line {}", file_, line_); }

  std::vector<std::string> row() {
    std::vector<std::string> cells;
    ++line_;
    do {
      cells.push_back(text_.substr(at_).starts_with('"') ? quoted() : plain());
    } while (take(','));
    if (!at_end() && !take('\n') && !(take('\r') && take('\n')))
      refuse(where(), "something stands after a quoted cell");
    return cells;
  }

 private:
  bool take(char c) {
    if (at_end() || text_[at_] != c) return false;
    ++at_;
    return true;
  }
  std::string plain() {
    const std::size_t end = std::min(text_.find_first_of(",\r\n", at_), text_.size());
    return std::string(text_.substr(std::exchange(at_, end), end - at_));
  }
  std::string quoted() {
    std::string cell;
    ++at_;
    while (true) {
      const std::size_t end = text_.find('"', at_);
      if (end == std::string_view::npos) refuse(where(), "a quotation mark has no other");
      cell += text_.substr(at_, end - at_);
      at_ = end + 1;
      if (!take('"')) return cell;
      cell += '"';
    }
  }

  std::string_view text_;
  std::string file_;
  std::size_t at_ = 0;
  std::size_t line_ = 0;  // rows, which are lines unless a name has one in it
};

std::vector<std::string> names_of(Columns columns) {
  std::vector<std::string> names;
  for (const Column& column : columns) names.emplace_back(column.name);
  return names;
}

Rows rows_of_csv(Columns columns, const std::optional<std::string>& text, const std::string& file) {
  Rows rows;
  if (!text) return rows;
  CsvText csv(*text, file);
  if (csv.at_end() || csv.row() != names_of(columns))
    refuse(file, fmt::format("another table: its first line is not {}",
                             fmt::join(names_of(columns), ",")));
  while (!csv.at_end()) {
    const std::vector<std::string> cells = csv.row();
    if (cells.size() != columns.size())
      refuse(csv.where(), fmt::format("{} cells instead of {}", cells.size(), columns.size()));
    Row& row = rows.emplace_back();
    for (std::size_t i = 0; i < cells.size(); ++i)
      row.push_back(read_text(columns[i].holds, cells[i],
                              fmt::format("{}, {}", csv.where(), columns[i].name)));
  }
  return rows;
}

std::string csv_of(Columns columns, const Rows& rows) {
  std::string all = csv_line(names_of(columns));
  for (const Row& row : rows) {
    std::vector<std::string> cells;
    for (const Cell& cell : row) cells.push_back(said({cell}));
    all += csv_line(cells);
  }
  return all;
}

// JSON.

constexpr const char* kJsonFile = "results.json";

Json json_of_file(const std::optional<std::string>& text) {
  if (!text) return nullptr;
  Json json = Json::parse(*text, nullptr, /*allow_exceptions=*/false);
  if (!json.is_object() || json.size() != 2 || !json.contains("summary") || !json.contains("sweep"))
    refuse(kJsonFile, "no object of the two tables \"summary\" and \"sweep\"");
  return json;
}

Rows rows_of_json(Columns columns, const Json& file, const std::string& table) {
  Rows rows;
  if (file.is_null()) return rows;
  const Json& all = file.at(table);
  if (!all.is_array()) refuse(kJsonFile, "\"" + table + "\" is no list of rows");
  for (const Json& one : all) {
    const std::string where = fmt::format("{}, row {} of {}", kJsonFile, rows.size() + 1, table);
    if (!one.is_object() || one.size() != columns.size()) refuse(where, "not the table's columns");
    Row& row = rows.emplace_back();
    for (const Column& column : columns) {
      if (!one.contains(column.name)) refuse(where, fmt::format("no {}", column.name));
      row.push_back(
          read_json(column.holds, one.at(column.name), fmt::format("{}, {}", where, column.name)));
    }
  }
  return rows;
}

Json json_of(Columns columns, const Rows& rows) {
  Json all = Json::array();
  for (const Row& row : rows) {
    Json& one = all.emplace_back(Json::object());
    for (std::size_t i = 0; i < columns.size(); ++i) {
      Json& cell = one[columns[i].name];
      if (const auto* text = std::get_if<std::string>(&row[i])) cell = *text;
      if (const auto* whole = std::get_if<std::int64_t>(&row[i])) cell = *whole;
      if (const auto* number = std::get_if<double>(&row[i])) cell = *number;  // infinite: null
    }
  }
  return all;
}

// Merging.

using ByKey = std::map<Row, std::vector<const Row*>>;
ByKey by_key(Columns columns, const Rows& rows) {
  ByKey all;
  for (const Row& row : rows) all[key_of(columns, row)].push_back(&row);
  return all;
}

/// JSON has no infinities, so that what is none there may be one in CSV.
bool same_figure(const Cell& csv, const Cell& json) {
  const auto* number = std::get_if<double>(&csv);
  const bool none = !number || !std::isfinite(*number);
  return csv == json || (none && std::holds_alternative<std::monostate>(json));
}

/// `rows` and those that JSON alone has. What `now` replaces need not be the same in both.
Rows joined(Columns columns, Rows rows, const Rows& json, const ByKey& now, const char* file) {
  const ByKey mine = by_key(columns, rows);
  const ByKey theirs = by_key(columns, json);
  Rows more;
  for (const Row& row : json) {
    const Row key = key_of(columns, row);
    const auto found = mine.find(key);
    if (found == mine.end()) {
      more.push_back(row);
      continue;
    }
    if (now.contains(key)) continue;
    const auto& others = theirs.at(key);
    const bool same = std::ranges::equal(found->second, others, [](const Row* a, const Row* b) {
      return std::ranges::equal(*a, *b, same_figure);
    });
    if (!same)
      refuse(kJsonFile, fmt::format("not what {} says of {}", file, shortened(said(key), 100)));
  }
  rows.insert(rows.end(), more.begin(), more.end());
  return rows;
}

Rows merged_rows(Columns columns, const Rows& rows, const Rows& fresh, ByKey now) {
  Rows all;
  for (const Row& row : rows) {
    const auto found = now.find(key_of(columns, row));
    if (found == now.end()) {
      all.push_back(row);
    } else if (!found->second.empty()) {  // a second row of the same key goes
      all.push_back(*found->second.front());
      found->second.clear();
    }
  }
  for (const Row& row : fresh) {
    if (!now.at(key_of(columns, row)).empty()) all.push_back(row);
  }
  return all;
}

Rows merged_table(Columns columns, const std::optional<std::string>& csv, const Json& json,
                  const std::string& table, const Rows& fresh) {
  const std::string file = table + ".csv";
  const ByKey now = by_key(columns, fresh);
  const Rows rows = joined(columns, rows_of_csv(columns, csv, file),
                           rows_of_json(columns, json, table), now, file.c_str());
  return merged_rows(columns, rows, fresh, now);
}

}  // namespace

RobustnessFiles merged(const RobustnessFiles& files, const Robustness& robustness) {
  const Json json = json_of_file(files.json);
  const Rows summary =
      merged_table(kSummary, files.summary, json, "summary", summary_rows(robustness));
  const Rows sweep = merged_table(kSweep, files.sweep, json, "sweep", sweep_rows(robustness));
  const Json both = {{"summary", json_of(kSummary, summary)}, {"sweep", json_of(kSweep, sweep)}};
  return {.summary = csv_of(kSummary, summary),
          .sweep = csv_of(kSweep, sweep),
          .json = both.dump(2, ' ', false, Json::error_handler_t::replace) + "\n"};
}

}  // namespace perturb
