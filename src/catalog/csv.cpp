#include <algorithm>
#include <charconv>
#include <cmath>
#include <limits>
#include <map>
#include <optional>
#include <system_error>

#include "perturb/catalog/formats.h"
#include "perturb/core/error.h"

namespace perturb {
namespace {

constexpr std::size_t kMostColumns = std::size_t{1} << 20;

struct Field {
  std::string text;
  std::size_t line = 0, column = 0;  ///< of its first byte, from 1
};

[[noreturn]] void fail(std::size_t line, std::size_t column, const std::string& message) {
  throw Error(ExitCode::Usage, "line " + std::to_string(line) + ", column " +
                                   std::to_string(column) + ": " + message);
}
[[noreturn]] void fail(const Field& field, const std::string& message) {
  fail(field.line, field.column, message);
}

/// A text of the file's as it may be shown: short, and nothing that moves a terminal's cursor.
std::string shown(const std::string& text) {
  constexpr std::size_t kMost = 40;
  std::string result = text.substr(0, kMost);
  for (char& c : result) {
    if (static_cast<unsigned char>(c) < 0x20 || c == 0x7f) c = '?';
  }
  return '"' + result + (text.size() > kMost ? "..." : "") + '"';
}

/// Reads records one by one, keeping count of lines.
class Records {
 public:
  explicit Records(std::string_view bytes) : bytes_(bytes) {
    constexpr std::string_view kByteOrderMark = "\xef\xbb\xbf";
    if (bytes_.substr(0, kByteOrderMark.size()) == kByteOrderMark) at_ = line_start_ = 3;
  }

  /// False at the end. Blank lines are skipped if nothing else follows.
  bool next(std::vector<Field>& fields) {
    fields.clear();
    skip_blank_end();
    if (at_ == bytes_.size()) return false;
    do {
      if (fields.size() == kMostColumns) fail(line_, column(), "more than 2^20 columns");
      fields.push_back(field());
    } while (take(','));
    if (!end_of_line() && at_ != bytes_.size()) fail(line_, column(), "text after a closing quote");
    return true;
  }

 private:
  std::size_t column() const { return at_ - line_start_ + 1; }
  bool is(char c) const { return at_ < bytes_.size() && bytes_[at_] == c; }
  bool take(char c) { return is(c) && ++at_; }
  void skip_blanks() {
    while (is(' ') || is('\t')) ++at_;
  }
  bool end_of_line() {
    const bool carriage = is('\r') && at_ + 1 < bytes_.size() && bytes_[at_ + 1] == '\n';
    if (carriage) ++at_;
    if (!take('\n')) return false;
    start_line();
    return true;
  }
  void start_line() {
    ++line_;
    line_start_ = at_;
  }

  void skip_blank_end() {
    if (bytes_.find_first_not_of(" \t\r\n", at_) == std::string_view::npos) at_ = bytes_.size();
  }

  Field field() {
    skip_blanks();
    Field field{.text = {}, .line = line_, .column = column()};
    if (take('"')) {
      quoted(field);
      skip_blanks();
      return field;
    }
    const std::size_t begin = at_;
    while (at_ < bytes_.size() && !is(',') && !is('\n') && !is('\r')) {
      if (is('"')) fail(line_, column(), "a quote inside a field that does not begin with one");
      ++at_;
    }
    // A lone carriage return is no line end here: it would hide that rows are missing.
    if (is('\r') && bytes_.substr(at_, 2) != "\r\n") fail(line_, column(), "a carriage return");
    const std::string_view text = bytes_.substr(begin, at_ - begin);
    field.text = text.substr(0, text.find_last_not_of(" \t") + 1);
    return field;
  }

  void quoted(Field& field) {
    for (;;) {
      if (at_ == bytes_.size()) fail(field, "a quote that is never closed");
      const char c = bytes_[at_++];
      if (c == '"' && !take('"')) return;
      if (c == '\n') start_line();
      field.text += c;
    }
  }

  std::string_view bytes_;
  std::size_t at_ = 0, line_start_ = 0, line_ = 1;
};

/// A finite number and nothing else.
std::optional<double> number(const std::string& text) {
  double value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  const bool whole = error == std::errc() && end == text.data() + text.size();
  // Data end up as float32, where a larger number would become infinite without a word.
  if (!whole || !(std::abs(value) <= std::numeric_limits<float>::max())) return std::nullopt;
  return value;
}

std::size_t place_of(const std::string& target, const std::vector<Field>& first, bool header) {
  if (target.empty()) return first.size() - 1;
  if (!header) {
    std::size_t place = 0;
    const auto [end, error] = std::from_chars(target.data(), target.data() + target.size(), place);
    if (error == std::errc() && end == target.data() + target.size() && place >= 1 &&
        place <= first.size()) {
      return place - 1;
    }
    throw Error(
        ExitCode::Usage, "there is no column " + shown(target) + " for the class",
        "without a header the target is a number from 1 to " + std::to_string(first.size()));
  }
  const auto found = std::find_if(first.begin(), first.end(),
                                  [&](const Field& field) { return field.text == target; });
  if (found != first.end()) return static_cast<std::size_t>(found - first.begin());
  std::string names;
  for (std::size_t i = 0; i < first.size() && i < 20; ++i) names += " " + shown(first[i].text);
  throw Error(ExitCode::Usage, "there is no column " + shown(target) + " for the class",
              "the columns are" + names + (first.size() > 20 ? " ..." : ""));
}

void check_names(const std::vector<Field>& header) {
  std::map<std::string, const Field*> seen;
  for (const auto& field : header) {
    if (!seen.emplace(field.text, &field).second) {
      fail(field, "a second column called " + shown(field.text));
    }
  }
}

/// Gives classes their numbers; `texts` holds one class name a row.
void number_classes(const std::vector<std::string>& texts, CsvTable& table) {
  table.classes = texts;
  auto& classes = table.classes;
  std::sort(classes.begin(), classes.end());
  classes.erase(std::unique(classes.begin(), classes.end()), classes.end());
  if (std::all_of(classes.begin(), classes.end(), [](const auto& c) { return number(c); })) {
    std::stable_sort(classes.begin(), classes.end(),
                     [](const auto& a, const auto& b) { return *number(a) < *number(b); });
  }
  std::map<std::string_view, std::int64_t> places;
  for (const auto& name : classes) places.emplace(name, std::ssize(places));
  for (const auto& text : texts) table.labels.push_back(places.at(text));
}

}  // namespace

CsvTable read_csv(std::string_view bytes, const CsvOptions& options) {
  Records records(bytes);
  std::vector<Field> fields;
  if (!records.next(fields)) throw Error(ExitCode::Usage, "there is nothing in the table");
  const std::size_t columns = fields.size();
  if (columns < 2) fail(fields[0], "only one column, where a class and a feature are needed");

  CsvTable table;
  const std::size_t target = place_of(options.target, fields, options.header);
  bool more = true;
  if (options.header) {
    check_names(fields);
    for (std::size_t i = 0; i < columns; ++i) {
      if (i != target) table.names.push_back(fields[i].text);
    }
    more = records.next(fields);
  }
  table.features = static_cast<std::int64_t>(columns) - 1;
  std::vector<std::string> texts;
  for (; more; more = records.next(fields)) {
    if (fields.size() != columns) {
      fail(fields[0], std::to_string(fields.size()) + " fields, where the first line has " +
                          std::to_string(columns));
    }
    for (std::size_t i = 0; i < columns; ++i) {
      const Field& field = fields[i];
      if (field.text.empty()) fail(field, "a missing value");
      if (i == target) {
        texts.push_back(field.text);
      } else if (const auto value = number(field.text)) {
        table.values.push_back(*value);
      } else {
        fail(field, shown(field.text) + " is not a number that a float can hold");
      }
    }
    ++table.rows;
  }
  if (table.rows == 0) throw Error(ExitCode::Usage, "the table has a header and no rows");
  number_classes(texts, table);
  return table;
}

}  // namespace perturb
