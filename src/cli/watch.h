// `perturb status --watch`: looks at the store and at what the run says of itself, again and again,
// until the run is over or somebody has seen enough.
#pragma once

#include <filesystem>
#include <string>

#include "cli/commands.h"

namespace perturb {

/// Watches the latest run of the experiment, or, where that is empty, of any. On a terminal it
/// redraws in place; elsewhere it writes a line an event, with --json an object a change. Returns
/// when the run is over; the code of the signal if one came before.
ExitCode watch(Context& context, const std::filesystem::path& store_folder,
               const std::string& experiment);

}  // namespace perturb
