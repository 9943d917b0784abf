// Reads what the command line says beside the file: `path=value` and `path=a,b,c`. An override
// replaces the levels of a key that varies in the file, or makes a key vary, or has the last word
// in the base condition.
#pragma once

#include <string>
#include <vector>

#include "experiment/reading.h"

namespace perturb {

/// First, since the file's tables are read in their light.
void read_overrides(Reading& reading, const std::vector<std::string>& texts);

/// The override's values as the node of a key with levels: one value stays itself.
Node levels_node(const Override& one);

/// After the variations. What none of them took up: several values or levels become a variation,
/// one is the base's.
void finish_overrides(Reading& reading);

}  // namespace perturb
