// Masses as whole numbers, so that exact methods add and compare them exactly.
#pragma once

#include <cstdint>
#include <vector>

#include "transport/check.h"

namespace perturb::transport {

/// What the masses of one side add up to.
constexpr std::int64_t kWhole = std::int64_t{1} << 60;

/// `weights` divided by their sum, as multiples of 2^-60 that add up to one. The greatest takes
/// what rounding leaves; a positive weight under 2^-61 of the sum becomes zero.
std::vector<std::int64_t> whole_masses(const Doubles& weights);

/// As a share of one.
inline double share(std::int64_t mass) { return static_cast<double>(mass) * 0x1p-60; }

}  // namespace perturb::transport
