#include "report/factors.h"

#include <algorithm>

#include "perturb/experiment/schema.h"

namespace perturb {

bool names_field(std::string_view factor) {
  const std::string_view section = factor.substr(0, factor.find('.'));
  return std::any_of(sections().begin(), sections().end(),
                     [&](const Section& known) { return known.name == section; });
}

bool names_seed(std::string_view factor) {
  if (names_field(factor)) return factor.starts_with("seeds.");
  return factor.ends_with(".seed") || factor.starts_with("set.seeds.");
}

}  // namespace perturb
