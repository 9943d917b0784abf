#include "report/page/html.h"

#include <openssl/evp.h>

#include "perturb/core/digest.h"
#include "perturb/report/table.h"

namespace perturb {

namespace {

void add_escaped(std::string& all, std::string_view line) {
  for (const char c : printable(line)) {
    switch (c) {
      case '&':
        all += "&amp;";
        break;
      case '<':
        all += "&lt;";
        break;
      case '>':
        all += "&gt;";
        break;
      case '"':
        all += "&quot;";
        break;
      case '\'':
        all += "&#39;";
        break;
      default:
        all += c;
    }
  }
}

void add_cells(std::string& all, const HtmlTable& table, const HtmlTable::Row& row) {
  for (std::size_t i = 0; i < row.cells.size(); ++i) {
    all += table.columns[i].number ? "<td class=n>" : "<td>";
    all += html(row.cells[i]);
  }
}

}  // namespace

std::string html(std::string_view text) {
  std::string all;
  all.reserve(text.size());
  while (true) {
    const std::size_t end = text.find('\n');
    add_escaped(all, text.substr(0, end));
    if (end == std::string_view::npos) return all;
    all += '\n';
    text.remove_prefix(end + 1);
  }
}

std::string script_data(std::string json) {
  // "</script" and "<!--" are what a browser looks for; in JSON a < is always within a text.
  std::string all;
  all.reserve(json.size());
  for (const char c : json) {
    if (c == '<')
      all += "\\u003c";
    else
      all += c;
  }
  return all;
}

std::string script_hash(std::string_view script) {
  const Digest digest = sha256(script);
  std::string base64(4 * ((digest.bytes.size() + 2) / 3), '\0');
  EVP_EncodeBlock(reinterpret_cast<unsigned char*>(base64.data()), digest.bytes.data(),
                  static_cast<int>(digest.bytes.size()));
  return "sha256-" + base64;
}

std::string html(const HtmlTable& table) {
  // Ends of cells and rows may be left out (HTML, section 13.1.2.4): a third of a long table.
  std::string all =
      table.rows.size() > 25 ? "<div class=\"wide tall\" tabindex=0>\n" : "<div class=wide>\n";
  all += table.filter ? "<table class=data data-filter>" : "<table class=data>";
  if (!table.caption.empty()) all += "<caption>" + html(table.caption) + "</caption>";
  all += "\n<thead><tr>";
  for (const HtmlTable::Column& column : table.columns) {
    all += column.number ? "<th scope=col class=n>" : "<th scope=col>";
    all += html(column.title) + "</th>";
  }
  all += "</tr></thead>\n<tbody>\n";
  for (const HtmlTable::Row& row : table.rows) {
    all += "<tr";
    if (!row.style.empty()) (all += " class=\"").append(row.style) += '"';
    all += '>';
    add_cells(all, table, row);
    all += '\n';
  }
  return all + "</tbody></table></div>\n";
}

}  // namespace perturb
