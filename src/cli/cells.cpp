#include "cli/cells.h"

#include <cmath>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

namespace perturb {

std::string text_of(const Cell& cell) {
  if (const auto* integer = std::get_if<std::int64_t>(&cell)) return std::to_string(*integer);
  if (const auto* number = std::get_if<double>(&cell)) return fmt::format("{}", *number);
  if (const auto* text = std::get_if<std::string>(&cell)) return *text;
  return {};
}

nlohmann::ordered_json json_of(const Cell& cell) {
  if (const auto* number = std::get_if<double>(&cell); number && std::isfinite(*number))
    return *number;
  if (const auto* integer = std::get_if<std::int64_t>(&cell)) return *integer;
  if (std::holds_alternative<std::monostate>(cell)) return nullptr;
  return text_of(cell);
}

}  // namespace perturb
