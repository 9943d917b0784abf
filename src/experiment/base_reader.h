// Reads the base condition: the tables [model], [data], [optimizer] and the other sections.
#pragma once

#include <string>

#include "experiment/reading.h"

namespace perturb {

void read_base(Reading& reading, const Node& root);

/// Notes why this build cannot do what a field's value asks for, if it cannot. `component` is the
/// section's, which may be null where the field is "kind".
void note_unsupported(Reading& reading, const Section& section, const Component* component,
                      const std::string& key, const Value& value, const Place& place);

}  // namespace perturb
