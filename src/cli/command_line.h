// The command line as a whole: global options, commands, help. Apart from main so that tests,
// completion and documentation see the same commands as users do.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "cli/commands.h"

namespace perturb {

/// All commands on one application; `context` must outlive it.
std::unique_ptr<CLI::App> make_command_line(Context& context);

/// Parses and runs. Wrong usage is an Error(Usage).
ExitCode run_command_line(const std::vector<std::string>& arguments, Context& context);

}  // namespace perturb
