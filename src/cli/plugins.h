// Plugins as the commands use them: those of the command line and of an experiment file are tried
// in a process of their own, loaded, and added to the context's schema, before anything else looks
// at the experiment and before any store is touched.
#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "cli/commands.h"
#include "perturb/experiment/experiment.h"
#include "perturb/report/plot.h"

namespace perturb {

/// Those of --plugin; relative names start from the current folder. Throws Error(Usage).
void load_plugins(Context& context);

/// Those that an experiment file names; relative names start from its folder. Throws
/// InvalidExperiment with every one that is refused.
void load_plugins(Context& context, const std::vector<NamedPlugin>& named,
                  const std::filesystem::path& experiment_file);

/// "DIGEST:FILE" of every loaded plugin, for another process; and there: loads them, or throws
/// Error(Usage) where a file is not what it was.
std::vector<std::string> exact_plugins(const Context& context);
void load_exact_plugins(Context& context, const std::vector<std::string>& exact);

/// The built-in ones and those of plugins.
Registry<Plotter> all_plotters(const Context& context);

/// The command line for the store's record of a run, with the plugins as a comment.
std::string command_of_run(const Context& context);

}  // namespace perturb
