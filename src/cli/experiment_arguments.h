// The arguments `FILE [path=value ...]` that most commands begin with, and what is loaded by
// them: the experiment together with the data sets that were asked about and not found.
#pragma once

#include <filesystem>
#include <memory>
#include <string>
#include <vector>

#include "cli/commands.h"
#include "perturb/experiment/experiment.h"
#include "perturb/store/store.h"

namespace perturb {

struct Loaded {
  Experiment experiment;
  /// Why data sets cannot be read, one line each. Complete once every trial has been made (as
  /// planning does): data may vary, and are looked up when a trial needs them.
  std::shared_ptr<const std::vector<std::string>> missing_data;
};

struct ExperimentArguments {
  std::filesystem::path file;
  std::vector<std::string> overrides;

  void add_to(CLI::App& command);
  /// Loads, and shows warnings on stderr.
  Loaded load(Context& context) const;
};

/// The store for reading: an empty one in memory where there is none yet.
Store store_to_read(const std::filesystem::path& folder);

}  // namespace perturb
