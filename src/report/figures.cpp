#include "report/figures.h"

#include <algorithm>
#include <cmath>

#include <fmt/format.h>

#include "perturb/report/table.h"

namespace perturb {

Figures::Figures(const Summary& summary, std::size_t quantity) {
  std::vector<double> spreads;
  std::vector<double> effects;
  for (const SummaryRow& row : summary.rows) {
    const SummaryCell& cell = row.cells[quantity];
    const Sample& difference = cell.against.difference;
    if (cell.value.sd && *cell.value.sd > 0) spreads.push_back(*cell.value.sd);
    if (difference.n > 0 && difference.mean != 0) effects.push_back(std::fabs(difference.mean));
  }
  std::vector<double>& scale = spreads.empty() ? effects : spreads;
  if (scale.empty()) return;
  const auto middle = scale.begin() + std::ssize(scale) / 2;
  std::nth_element(scale.begin(), middle, scale.end());
  // Two digits of a typical spread: what lies below is noise.
  decimals_ = std::clamp(1 - static_cast<int>(std::floor(std::log10(*middle))), 0, 8);
}

std::string Figures::number(double value) const {
  return std::fabs(value) < 1e9 ? fmt::format("{:.{}f}", value, decimals_)
                                : fmt::format("{:.4g}", value);
}

std::string Figures::difference(double value) const {
  const std::string text = number(value);
  const bool zero = text.find_first_of("123456789") == std::string::npos;
  return zero ? number(0) : (value < 0 ? "" : "+") + text;
}

std::string Figures::interval(const std::optional<Interval>& interval) const {
  return interval ? fmt::format("[{}, {}]", number(interval->low), number(interval->high)) : "";
}

std::string title(const Summary& summary, std::size_t quantity) {
  const Quantity& about = summary.quantities[quantity];
  return printable(about.label) + " " + where(about, summary.place);
}

std::string joined(const std::vector<std::string>& words) {
  std::string all;
  for (const std::string& word : words) all += (all.empty() ? "" : ", ") + printable(word);
  return all;
}

}  // namespace perturb
