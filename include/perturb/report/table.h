// Text for a terminal or a pipe: columns that line up whatever script they are in, and in which
// nothing that a user, a file or a database says can move the cursor or change what is read.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

namespace perturb {

/// `text` with everything that does not print made visible: control characters as \n or \x1b,
/// marks that change the direction of reading as \u202e, bytes that are not UTF-8 as U+FFFD.
std::string printable(std::string_view text);

/// Columns that printable text takes on a terminal: 2 for East Asian wide characters and
/// emoji, 0 for combining marks.
std::size_t display_width(std::string_view text);

/// `text`, cut to `width` columns with an ellipsis if it is wider.
std::string shortened(std::string_view text, std::size_t width);

enum class Align { Left, Right };

/// Style of a cell, shown only where colour is. Nothing is said by colour alone.
enum class Ink { Plain, Bold, Faint, Red, Green, Yellow };

/// `text` in that ink: escape sequences if `color`, else as it is.
std::string inked(std::string_view text, Ink ink, bool color);

class TextTable {
 public:
  struct Column {
    std::string title;
    Align align = Align::Left;
    bool flexible = false;  ///< made narrower where the table would not fit
  };
  explicit TextTable(std::vector<Column> columns) : columns_(std::move(columns)) {}

  /// One cell a column; missing ones are empty. Cells are made printable.
  void add(std::vector<std::string> cells, Ink ink = Ink::Plain);
  /// An empty line between groups of rows.
  void add_gap();

  struct Style {
    bool color = false;
    /// No cell is wider; longer ones end in an ellipsis.
    std::size_t widest_cell = 60;
    /// Columns of the terminal; 0: as many as it takes.
    std::size_t width = 0;
  };
  /// Lines, each ending in a newline, without trailing spaces.
  std::string text(const Style& style) const;

 private:
  std::vector<std::size_t> widths(const Style& style) const;

  struct Row {
    std::vector<std::string> cells;
    Ink ink = Ink::Plain;
    bool gap = false;
  };
  std::vector<Column> columns_;
  std::vector<Row> rows_;
};

enum class CsvReader {
  Program,      ///< gets every text as it is
  Spreadsheet,  ///< would compute what looks like a formula: such a text gets a ' before it
};

/// One line of comma-separated values as in RFC 4180, but ended by a newline alone: what
/// awk, cut and read.csv expect.
std::string csv_line(const std::vector<std::string>& cells, CsvReader reader = CsvReader::Program);

}  // namespace perturb
