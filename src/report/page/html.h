// HTML made of texts that are not HTML: whatever they say is shown, never carried out.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace perturb {

/// As text or as an attribute's value in double quotes. Made printable first, so that control
/// characters and marks that change the direction of reading are seen; newlines stay.
std::string html(std::string_view text);

/// JSON as the content of a script element: no byte of it can end the element.
std::string script_data(std::string json);

/// "sha256-...": what a content policy calls a script of that text.
std::string script_hash(std::string_view script);

struct HtmlTable {
  struct Column {
    std::string title;
    bool number = false;  ///< right-aligned, and sorted as numbers
  };
  struct Row {
    std::vector<std::string> cells;  ///< texts
    std::string_view style;          ///< classes, of ours
  };
  std::string caption;  ///< empty: the heading above says it
  std::vector<Column> columns;
  std::vector<Row> rows;
  bool filter = false;  ///< with a line to type words into
};
std::string html(const HtmlTable& table);

}  // namespace perturb
