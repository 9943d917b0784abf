#include "perturb/report/table.h"

#include <algorithm>
#include <array>
#include <cassert>
#include <charconv>
#include <cstdint>
#include <system_error>

#include <fmt/format.h>

namespace perturb {

namespace {

constexpr std::uint32_t kReplacement = 0xFFFD;

struct Range {
  std::uint32_t first;
  std::uint32_t last;
};

template <std::size_t N>
bool within(const std::array<Range, N>& ranges, std::uint32_t code) {
  const auto after = std::upper_bound(
      ranges.begin(), ranges.end(), code,
      [](std::uint32_t wanted, const Range& range) { return wanted < range.first; });
  return after != ranges.begin() && code <= std::prev(after)->last;
}

// Unicode 15, Mn and Me of the blocks that occur in names; a mark that is missing here costs
// a column, nothing else.
constexpr std::array kZeroWidth = {
    Range{0x0300, 0x036F}, Range{0x0483, 0x0489}, Range{0x0591, 0x05BD},   Range{0x0610, 0x061A},
    Range{0x064B, 0x065F}, Range{0x06D6, 0x06DC}, Range{0x0900, 0x0902},   Range{0x093C, 0x093C},
    Range{0x0941, 0x0948}, Range{0x0E31, 0x0E31}, Range{0x0E34, 0x0E3A},   Range{0x0E47, 0x0E4E},
    Range{0x1AB0, 0x1AFF}, Range{0x1DC0, 0x1DFF}, Range{0x200B, 0x200D},   Range{0x20D0, 0x20F0},
    Range{0xFE00, 0xFE0F}, Range{0xFE20, 0xFE2F}, Range{0x1F3FB, 0x1F3FF}, Range{0xE0100, 0xE01EF},
};

// East Asian Width W and F.
constexpr std::array kWide = {
    Range{0x1100, 0x115F},   Range{0x231A, 0x231B},   Range{0x23E9, 0x23EC},
    Range{0x25FD, 0x25FE},   Range{0x2614, 0x2615},   Range{0x2648, 0x2653},
    Range{0x26A1, 0x26A1},   Range{0x26BD, 0x26BE},   Range{0x2705, 0x2705},
    Range{0x274C, 0x274C},   Range{0x2753, 0x2755},   Range{0x2795, 0x2797},
    Range{0x2B1B, 0x2B1C},   Range{0x2E80, 0x303E},   Range{0x3041, 0x33FF},
    Range{0x3400, 0x4DBF},   Range{0x4E00, 0x9FFF},   Range{0xA000, 0xA4CF},
    Range{0xA960, 0xA97F},   Range{0xAC00, 0xD7A3},   Range{0xF900, 0xFAFF},
    Range{0xFE30, 0xFE6F},   Range{0xFF00, 0xFF60},   Range{0xFFE0, 0xFFE6},
    Range{0x1F300, 0x1F64F}, Range{0x1F680, 0x1F6FF}, Range{0x1F900, 0x1F9FF},
    Range{0x1FA70, 0x1FAFF}, Range{0x20000, 0x3FFFD},
};

// Characters that reorder what follows, or that nobody sees.
constexpr std::array kTreacherous = {
    Range{0x0080, 0x009F}, Range{0x00AD, 0x00AD},   Range{0x061C, 0x061C}, Range{0x180E, 0x180E},
    Range{0x200E, 0x200F}, Range{0x2028, 0x202E},   Range{0x2060, 0x206F}, Range{0xFEFF, 0xFEFF},
    Range{0xFFF9, 0xFFFB}, Range{0xE0000, 0xE007F},
};

struct Decoded {
  std::uint32_t code;
  std::size_t bytes;
};

/// The character at `at`; U+FFFD and one byte where there is none (Unicode 15, table 3-7).
Decoded decode(std::string_view text, std::size_t at) {
  const auto byte = [&](std::size_t i) {
    return i < text.size() ? static_cast<std::uint8_t>(text[i]) : std::uint8_t{0};
  };
  const std::uint8_t lead = byte(at);
  if (lead < 0x80) return {lead, 1};
  const std::size_t length = lead >= 0xF0 ? 4 : lead >= 0xE0 ? 3 : 2;
  if (lead < 0xC2 || lead > 0xF4) return {kReplacement, 1};
  std::uint32_t code = lead & (0x7Fu >> length);
  for (std::size_t i = 1; i < length; ++i) {
    if ((byte(at + i) & 0xC0) != 0x80) return {kReplacement, 1};
    code = code << 6 | (byte(at + i) & 0x3Fu);
  }
  const bool overlong = (length == 3 && code < 0x800) || (length == 4 && code < 0x10000);
  const bool surrogate = code >= 0xD800 && code <= 0xDFFF;
  if (overlong || surrogate || code > 0x10FFFF) return {kReplacement, 1};
  return {code, length};
}

std::size_t width_of(std::uint32_t code) {
  if (code < 0x300) return 1;
  if (within(kZeroWidth, code)) return 0;
  return within(kWide, code) ? 2 : 1;
}

/// Whether a spreadsheet would compute it: by how it begins (OWASP, CSV Injection), unless it is a
/// number as we write them. The full-width forms count in some languages.
bool looks_like_formula(std::string_view cell) {
  const std::size_t blank = cell.find_first_not_of(' ');
  if (blank == std::string_view::npos) return false;
  const std::string_view text = cell.substr(blank);
  constexpr std::array<std::string_view, 10> kBegins = {"=",  "+",  "-",  "@",  "\t",
                                                        "\r", "＝", "＋", "－", "＠"};
  const auto begins = [&](std::string_view with) { return text.starts_with(with); };
  if (std::ranges::none_of(kBegins, begins)) return false;
  double number = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  return error != std::errc() || end != text.data() + text.size();
}

std::string escaped(std::uint32_t code) {
  switch (code) {
    case '\n':
      return "\\n";
    case '\r':
      return "\\r";
    case '\t':
      return "\\t";
    default:
      break;
  }
  if (code < 0x100) return fmt::format("\\x{:02x}", code);
  return code < 0x10000 ? fmt::format("\\u{:04x}", code) : fmt::format("\\U{:08x}", code);
}

}  // namespace

std::string printable(std::string_view text) {
  std::string result;
  result.reserve(text.size());
  for (std::size_t at = 0; at < text.size();) {
    const auto [code, bytes] = decode(text, at);
    if (code < 0x20 || code == 0x7F || within(kTreacherous, code))
      result += escaped(code);
    else if (code == kReplacement)
      result += "\xEF\xBF\xBD";
    else
      result += text.substr(at, bytes);
    at += bytes;
  }
  return result;
}

std::size_t display_width(std::string_view text) {
  std::size_t width = 0;
  for (std::size_t at = 0; at < text.size();) {
    const auto [code, bytes] = decode(text, at);
    width += width_of(code);
    at += bytes;
  }
  return width;
}

std::string shortened(std::string_view text, std::size_t width) {
  if (display_width(text) <= width) return std::string(text);
  if (width == 0) return {};
  std::size_t used = 0;
  std::size_t at = 0;
  while (at < text.size()) {
    const auto [code, bytes] = decode(text, at);
    if (used + width_of(code) > width - 1) break;
    used += width_of(code);
    at += bytes;
  }
  return std::string(text.substr(0, at)) + "…";
}

std::string inked(std::string_view text, Ink ink, bool color) {
  if (!color || ink == Ink::Plain || text.empty()) return std::string(text);
  const auto code = [ink] {
    switch (ink) {
      case Ink::Plain:
        return "0";
      case Ink::Bold:
        return "1";
      case Ink::Faint:
        return "2";
      case Ink::Red:
        return "31";
      case Ink::Green:
        return "32";
      case Ink::Yellow:
        return "33";
    }
    assert(false && "every ink has a code");
    return "0";
  };
  return fmt::format("\x1b[{}m{}\x1b[0m", code(), text);
}

void TextTable::add(std::vector<std::string> cells, Ink ink) {
  assert(cells.size() <= columns_.size());
  cells.resize(columns_.size());
  for (std::string& cell : cells) cell = printable(cell);
  rows_.push_back({std::move(cells), ink, false});
}

void TextTable::add_gap() {
  if (!rows_.empty() && !rows_.back().gap) rows_.push_back({{}, Ink::Plain, true});
}

std::vector<std::size_t> TextTable::widths(const Style& style) const {
  constexpr std::size_t kNarrowest = 16;
  std::vector<std::size_t> widths;
  for (const Column& column : columns_) widths.push_back(display_width(printable(column.title)));
  for (const Row& row : rows_) {
    for (std::size_t i = 0; i < row.cells.size(); ++i)
      widths[i] = std::max(widths[i], std::min(display_width(row.cells[i]), style.widest_cell));
  }
  if (style.width == 0) return widths;
  std::size_t total = 2 * (widths.size() - 1);
  for (const std::size_t width : widths) total += width;
  for (std::size_t i = 0; i < widths.size() && total > style.width; ++i) {
    if (!columns_[i].flexible || widths[i] <= kNarrowest) continue;
    const std::size_t excess = std::min(total - style.width, widths[i] - kNarrowest);
    widths[i] -= excess;
    total -= excess;
  }
  return widths;
}

std::string TextTable::text(const Style& style) const {
  const std::vector<std::size_t> widths = this->widths(style);
  std::string all;
  const auto add_line = [&](const std::vector<std::string>& cells, Ink ink) {
    std::string line;
    for (std::size_t i = 0; i < cells.size(); ++i) {
      const std::string cell = shortened(cells[i], widths[i]);
      const std::string space(widths[i] - display_width(cell), ' ');
      if (i > 0) line += "  ";
      line += columns_[i].align == Align::Left ? cell + space : space + cell;
    }
    line.erase(line.find_last_not_of(' ') + 1);
    all += inked(line, ink, style.color) + '\n';
  };

  std::vector<std::string> titles;
  for (const Column& column : columns_) titles.push_back(printable(column.title));
  add_line(titles, Ink::Bold);
  for (const Row& row : rows_) {
    if (row.gap)
      all += '\n';
    else
      add_line(row.cells, row.ink);
  }
  return all;
}

std::string csv_line(const std::vector<std::string>& cells, CsvReader reader) {
  std::string line;
  for (std::size_t i = 0; i < cells.size(); ++i) {
    const std::string& cell = cells[i];
    const bool formula = looks_like_formula(cell);
    // An empty cell that is alone would be a blank line, and so no row at all.
    const bool quoted = formula || (cell.empty() && cells.size() == 1) ||
                        cell.find_first_of(",\"\r\n") != std::string::npos;
    if (i > 0) line += ',';
    if (quoted) line += '"';
    if (formula && reader == CsvReader::Spreadsheet) line += '\'';
    for (const char c : cell) line += c == '"' ? std::string("\"\"") : std::string(1, c);
    if (quoted) line += '"';
  }
  return line + "\n";
}

}  // namespace perturb
