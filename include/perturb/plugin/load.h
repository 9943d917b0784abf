// Plugins from files: whether one may be loaded, and loading it.
//
// A plugin runs with the user's privileges, like any program. What is checked here keeps out what
// was not meant, and what somebody else could have put there; it is no fence around what is loaded.
#pragma once

#include <filesystem>
#include <memory>
#include <string>
#include <string_view>

#include "perturb/core/digest.h"
#include "perturb/plugin/plugin.h"

namespace perturb {

/// A file that may be loaded, as far as can be told without running any of it.
struct PluginFile {
  std::filesystem::path path;  ///< absolute, links resolved
  Digest digest;
  std::string libtorch;  ///< that it was built with; empty: it does without the training half
};

/// Throws Error(Usage) with the reason and what to do: no such file, nothing that perturb could
/// load, built with or for something else, or others could have written it. That is so unless the
/// file and every folder above it belong to the user or to root and only their owner may write
/// them; a private group of the user and a folder with the sticky bit are as good.
PluginFile examine_plugin(const std::filesystem::path& path);

/// Throws Error(Usage) unless the plugin was built with this LibTorch, or with none.
void require_libtorch(const PluginFile& file, std::string_view version);

/// Loads the file, once a process however often it is asked for, and fills a plugin; it stays
/// loaded. Throws Error(Usage) when that cannot be done. What crashes takes the process along.
///
/// A plugin that needs the training half is to find that of its process: load it before.
std::shared_ptr<const Plugin> load_plugin(const PluginFile& file);

/// Where the plugin that is named so is. A name with a slash is a path, from `folder` if it is
/// relative. One without is looked for in the folders that $PERTURB_PLUGINS lists (separated by
/// colons, absolute ones alone), and nowhere else. Throws Error(Usage) when it is in none of them.
std::filesystem::path find_plugin(const std::string& name, const std::filesystem::path& folder);

}  // namespace perturb
