// Selects layers and parameters by name: "*" stands for any characters, dots included.
#pragma once

#include <string_view>

namespace perturb {

bool matches(std::string_view pattern, std::string_view name);

}  // namespace perturb
