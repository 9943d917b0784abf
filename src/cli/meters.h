// Numbers as small pictures for a terminal: how far something is, and how it went.
#pragma once

#include <cstddef>
#include <span>
#include <string>

namespace perturb {

/// "███░░": that share of `width` columns, 0 to 1.
std::string bar(double share, std::size_t width);

/// "█▅▃▂▁": the values from the lowest to the highest of those that are finite, in at most `width`
/// columns, each the mean of as many values as it takes; × where one of them is not finite.
std::string sparkline(std::span<const double> values, std::size_t width);

}  // namespace perturb
