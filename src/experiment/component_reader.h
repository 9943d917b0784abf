// Reads an entry that is a component of some kind: a metric, a plot. What an intervention does has
// levels and is read otherwise (intervention_reader.h).
#pragma once

#include <map>
#include <string>
#include <vector>

#include "experiment/reading.h"

namespace perturb {

/// The component that an entry's `kind` names, or null and an error.
const Component* component_of(const Reading& reading, const Node& entry, Family family);

/// The component's parameters from an entry with defaults filled in; `extra` keys are the
/// caller's. False where something is wrong.
bool read_parameters(Reading& reading, const Node& entry, const Component& component,
                     const std::vector<std::string>& extra,
                     std::map<std::string, Value>& parameters);

}  // namespace perturb
