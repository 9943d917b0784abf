// How many trials at once this machine is good for.
#pragma once

#include <cstddef>

namespace perturb {

/// Physical cores that this process may use: the affinity mask without the second threads of
/// a core, which share its arithmetic units, and not more than a container's quota.
std::size_t physical_cores();

}  // namespace perturb
