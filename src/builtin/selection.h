// The parameters that an intervention or metric is about, by a pattern of their names.
#pragma once

#include <string>
#include <vector>

#include "perturb/core/error.h"
#include "perturb/core/name_pattern.h"
#include "perturb/train/flat_state.h"

namespace perturb {

/// Throws Error(Usage) when no name matches: `perturb check` sees that before, but for models that
/// do not say what their parameters are called.
inline std::vector<const Slice*> selected(const FlatState& state, const std::string& layers) {
  std::vector<const Slice*> slices;
  for (const auto& slice : state.layout()) {
    if (matches(layers, slice.name)) slices.push_back(&slice);
  }
  if (slices.empty())
    throw Error(ExitCode::Usage, "no parameter's name matches layers = \"" + layers + "\"");
  return slices;
}

}  // namespace perturb
