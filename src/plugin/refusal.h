// What is said of a plugin that is not taken.
#pragma once

#include <filesystem>
#include <string>

#include "perturb/core/error.h"
#include "perturb/plugin/plugin.h"

namespace perturb {

inline Error refused(const std::filesystem::path& path, const std::string& reason,
                     const std::string& advice) {
  return {ExitCode::Usage, "plugin " + path.string() + ": " + reason, advice};
}

/// Throws unless what is being compiled here could have left the stamp, LibTorch aside.
void require_stamp(const std::filesystem::path& path, const PluginStamp& stamp);

}  // namespace perturb
