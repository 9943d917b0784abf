// What a factor's name says of it.
#pragma once

#include <string_view>

namespace perturb {

/// Whether it is a field of the condition; otherwise it belongs to an intervention.
bool names_field(std::string_view factor);
/// Whether its levels are replicates unless somebody asks for more.
bool names_seed(std::string_view factor);

}  // namespace perturb
