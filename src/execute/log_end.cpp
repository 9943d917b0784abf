#include "execute/log_end.h"

#include <algorithm>
#include <cstddef>
#include <deque>

#include <fmt/format.h>

namespace perturb {

std::string quoted_end(std::string_view log) {
  constexpr std::size_t kLines = 3;
  constexpr std::size_t kMost = 400;
  std::deque<std::string_view> lines;
  while (!log.empty()) {
    const auto end = log.find('\n');
    const auto line = log.substr(0, end);
    if (line.find_first_not_of(" \t\r") != std::string_view::npos) lines.push_back(line);
    if (lines.size() > kLines) lines.pop_front();
    log.remove_prefix(end == std::string_view::npos ? log.size() : end + 1);
  }
  std::string text;
  for (const auto line : lines) {
    const auto begin = line.find_first_not_of(" \t\r");
    const auto size = line.find_last_not_of(" \t\r") + 1 - begin;
    text += fmt::format("{}{}", text.empty() ? "" : " / ", line.substr(begin, size));
  }
  const auto control = [](unsigned char c) { return c < 0x20 || c == 0x7f; };
  std::replace_if(text.begin(), text.end(), control, '?');
  if (text.size() <= kMost) return text;
  auto from = text.size() - kMost;
  // Not in the middle of a character of UTF-8.
  while (from < text.size() && (static_cast<unsigned char>(text[from]) & 0xc0) == 0x80) ++from;
  return "..." + text.substr(from);
}

}  // namespace perturb
