// What a run on Slurm is told: the settings of the site, of the experiment and of the command line,
// in this order, as options of the executor.
#pragma once

#include <filesystem>
#include <string>

#include "perturb/core/diagnostic.h"
#include "perturb/execute/slurm.h"

namespace perturb {

/// $XDG_CONFIG_HOME/perturb/slurm.toml, or below ~/.config; "" where there is neither.
std::filesystem::path slurm_site_file();

/// `file`: that of --slurm-options; empty: that of the site, if there is one. What the experiment
/// says goes before it. Throws InvalidExperiment, or Error where a named file is not there.
SlurmOptions slurm_options(const std::filesystem::path& file, const Source& experiment);

}  // namespace perturb
