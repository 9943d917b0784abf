// Cells of an answer of the store as text and as JSON, so that the same number reads back.
#pragma once

#include <string>

#include <nlohmann/json_fwd.hpp>

#include "perturb/store/store.h"

namespace perturb {

/// Null is empty; so is NaN, which the store keeps as null. Infinities are inf and -inf, other
/// numbers the shortest text that is the same 64 bits.
std::string text_of(const Cell& cell);

/// Infinities as text, since JSON has none.
nlohmann::ordered_json json_of(const Cell& cell);

}  // namespace perturb
