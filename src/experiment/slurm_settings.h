// Reading perturb/experiment/slurm_settings.h from a document.
#pragma once

#include "experiment/document.h"
#include "experiment/problems.h"
#include "perturb/experiment/slurm_settings.h"

namespace perturb {

/// `path` is what messages put before a key: "slurm." or "".
SlurmSettings read_slurm_table(const Node& table, const std::string& path, Problems& problems);

}  // namespace perturb
