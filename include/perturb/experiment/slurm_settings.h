// What a file says of a cluster: the table [slurm] of an experiment file, or a file of the site
// with the same keys at its top. Description and validation only; what the settings do is said in
// perturb/execute/slurm.h.
//
// Law 1: none of it is identity. The same trials are the same wherever they are carried out.
#pragma once

#include <filesystem>
#include <map>
#include <string>
#include <vector>

#include "perturb/core/diagnostic.h"
#include "perturb/core/value.h"
#include "perturb/experiment/schema.h"

namespace perturb {

/// Every setting with its type, default, range and meaning.
const std::vector<Parameter>& slurm_parameters();

/// Only what is said. Values are of the types and in the ranges of `slurm_parameters`.
using SlurmSettings = std::map<std::string, Value>;

/// The table of an experiment's text. Throws InvalidExperiment with everything that is wrong.
SlurmSettings slurm_settings_of(const Source& experiment);
/// A file of the site. Throws Error when there is none, InvalidExperiment for what is wrong.
SlurmSettings read_slurm_settings(const std::filesystem::path& file);

}  // namespace perturb
