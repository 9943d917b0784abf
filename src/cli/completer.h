// What may come next on a command line: commands, options, component names, and the condition
// paths and values of overrides. One implementation; the shells only call it.
#pragma once

#include <string>
#include <vector>

#include "perturb/experiment/schema.h"

namespace CLI {
class App;
}

namespace perturb {

struct Candidate {
  std::string text;
  std::string help;  ///< a few words; may be empty
};

/// Stand for what the shell knows better than we do.
inline constexpr const char* kTomlFiles = ":files";
inline constexpr const char* kAnyFiles = ":any";
inline constexpr const char* kFolders = ":folders";

/// `words` follow the program's name; the last, perhaps empty, is the one to be completed.
/// Only candidates that begin with it are returned.
std::vector<Candidate> complete(const CLI::App& app, const Schema& schema,
                                const std::vector<std::string>& words);

}  // namespace perturb
