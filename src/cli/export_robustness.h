// `export --robustness`: the tables of report/robustness.h as files of a folder.
#pragma once

#include <filesystem>

#include "cli/commands.h"
#include "cli/experiment_arguments.h"

namespace perturb {

/// Merges the experiment's networks into the files of the folder, which is made if need be, and
/// shows the mean drops. What is in the way of one file is in the way of all.
ExitCode export_robustness(Context& context, const ExperimentArguments& arguments,
                           const std::filesystem::path& folder);

}  // namespace perturb
