// Parameters that components of several families have.
#pragma once

#include <cstdint>
#include <string>

#include "perturb/experiment/schema.h"

namespace perturb {

/// A number of things, at least one.
Parameter count(std::string name, std::int64_t fallback, double most, std::string unit,
                std::string help);

}  // namespace perturb
