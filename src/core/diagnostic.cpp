#include "perturb/core/diagnostic.h"

#include <algorithm>
#include <vector>

#include <fmt/format.h>

namespace perturb {
namespace {

constexpr std::size_t kWidth = 100;  // of a source line as shown

std::string_view line_of(std::string_view text, std::size_t number) {
  std::size_t begin = 0;
  for (std::size_t i = 1; i < number; ++i) {
    begin = text.find('\n', begin);
    if (begin == std::string_view::npos) return {};
    ++begin;
  }
  auto line = text.substr(begin, text.find('\n', begin) - begin);
  if (!line.empty() && line.back() == '\r') line.remove_suffix(1);
  return line;
}

bool continues_character(char c) { return (static_cast<unsigned char>(c) & 0xC0) == 0x80; }

/// Splits UTF-8 into characters; bytes that are not UTF-8, and control characters, become '?'.
std::vector<std::string> printable(std::string_view text) {
  std::vector<std::string> out;
  for (std::size_t i = 0; i < text.size();) {
    const auto lead = static_cast<unsigned char>(text[i]);
    const std::size_t length = lead < 0x80       ? 1
                               : lead >> 5 == 6  ? 2
                               : lead >> 4 == 14 ? 3
                               : lead >> 3 == 30 ? 4
                                                 : 0;
    bool whole = length > 0 && i + length <= text.size();
    for (std::size_t k = 1; whole && k < length; ++k) whole = continues_character(text[i + k]);
    const bool c1_control =
        length == 2 && lead == 0xC2 && static_cast<unsigned char>(text[i + 1]) < 0xA0;
    // Marks that reorder text on a terminal (U+061C, U+200E.., U+202A.., U+2066..) are not shown as
    // such.
    const bool arabic_mark = whole && text.substr(i, length) == "\u061c";
    const bool reorders =
        length == 3 && whole && lead == 0xE2 &&
        (text.substr(i + 1, 1) == "\x80" || text.substr(i + 1, 1) == "\x81") &&
        !(text[i + 1] == '\x80' && static_cast<unsigned char>(text[i + 2]) >= 0x90 &&
          static_cast<unsigned char>(text[i + 2]) <= 0xA7);
    if (!whole || c1_control || arabic_mark || reorders ||
        (length == 1 && (lead < 0x20 || lead == 0x7F))) {
      out.emplace_back(lead == '\t' ? " " : "?");
      i += whole ? length : 1;
    } else {
      out.emplace_back(text.substr(i, length));
      i += length;
    }
  }
  return out;
}

std::string clean(std::string_view text) {
  std::string out;
  for (const auto& character : printable(text)) out += character;
  return out;
}

/// Optimal string alignment: insertions, deletions, substitutions, swaps of neighbours.
std::size_t distance(std::string_view a, std::string_view b) {
  std::vector<std::size_t> before(b.size() + 1), previous(b.size() + 1), row(b.size() + 1);
  for (std::size_t j = 0; j <= b.size(); ++j) previous[j] = j;
  for (std::size_t i = 1; i <= a.size(); ++i) {
    row[0] = i;
    for (std::size_t j = 1; j <= b.size(); ++j) {
      const std::size_t change = a[i - 1] == b[j - 1] ? 0 : 1;
      row[j] = std::min({previous[j] + 1, row[j - 1] + 1, previous[j - 1] + change});
      if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1]) {
        row[j] = std::min(row[j], before[j - 2] + 1);
      }
    }
    std::swap(before, previous);
    std::swap(previous, row);
  }
  return previous[b.size()];
}

}  // namespace

std::string render(const Diagnostic& d) {
  const auto& place = d.place;
  std::string out = place.source ? clean(place.source->name) : std::string();
  if (place.line > 0)
    out += fmt::format(":{}:{}", place.line, std::max<std::size_t>(place.column, 1));
  out += fmt::format("{}{}: {}\n", out.empty() ? "" : ": ", d.warning ? "warning" : "error",
                     clean(d.message));
  if (place.source && place.line > 0) {
    const auto line = printable(line_of(place.source->text, place.line));
    const auto caret = std::min(std::max<std::size_t>(place.column, 1) - 1, line.size());
    const std::size_t from = caret > kWidth * 3 / 4 ? caret - kWidth / 2 : 0;
    std::string shown = from > 0 ? "..." : "";
    const auto pad = shown.size() + caret - from;
    for (std::size_t i = from; i < std::min(line.size(), from + kWidth); ++i) shown += line[i];
    if (line.size() > from + kWidth) shown += "...";
    out += fmt::format("{:>6} | {}\n       | {}^\n", place.line, shown, std::string(pad, ' '));
  }
  if (!d.advice.empty()) out += fmt::format("  {}\n", clean(d.advice));
  return out;
}

namespace {
std::string summary(const std::vector<Diagnostic>& diagnostics) {
  std::string out;
  for (const auto& d : diagnostics) out += render(d);
  return out;
}
}  // namespace

InvalidExperiment::InvalidExperiment(std::vector<Diagnostic> diagnostics)
    : Error(ExitCode::Usage, summary(diagnostics)), diagnostics_(std::move(diagnostics)) {}

std::string nearest(std::string_view word, const std::vector<std::string>& candidates) {
  if (word.size() > 200) return {};
  std::string best;
  // A third of the letters may differ; more is a guess, not a typing error.
  std::size_t limit = std::max<std::size_t>(1, word.size() / 3) + 1;
  for (const auto& candidate : candidates) {
    const auto longer = std::max(candidate.size(), word.size());
    if (longer - std::min(candidate.size(), word.size()) >= limit) continue;
    if (const auto d = distance(word, candidate); d < limit) {
      limit = d;
      best = candidate;
    }
  }
  return best;
}

}  // namespace perturb
