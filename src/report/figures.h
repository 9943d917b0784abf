// How the figures of a quantity are written in tables.
#pragma once

#include <cstddef>
#include <optional>
#include <string>
#include <vector>

#include "perturb/report/summary.h"

namespace perturb {

/// Figures of one quantity with the same number of decimals, so that they can be compared by eye.
class Figures {
 public:
  Figures(const Summary& summary, std::size_t quantity);

  std::string number(double value) const;
  /// With its sign, unless it is written as 0.
  std::string difference(double value) const;
  std::string interval(const std::optional<Interval>& interval) const;

 private:
  int decimals_ = 4;
};

/// "test.accuracy at the end of the run".
std::string title(const Summary& summary, std::size_t quantity);
/// "a, b", made printable.
std::string joined(const std::vector<std::string>& words);

}  // namespace perturb
