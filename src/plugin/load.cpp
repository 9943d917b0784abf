#include "perturb/plugin/load.h"

#include <dlfcn.h>
#include <exception>
#include <map>
#include <mutex>

#include "perturb/core/files.h"
#include "plugin/refusal.h"

namespace perturb {

namespace {

struct Known {
  Digest digest;
  std::shared_ptr<const Plugin> plugin;
};

/// What the loader says begins with the file's name, which is said already.
std::string loader_error(const std::filesystem::path& path) {
  const char* said = dlerror();
  std::string text = said ? said : "the loader does not say why";
  const std::string prefix = path.string() + ": ";
  if (text.starts_with(prefix)) text.erase(0, prefix.size());
  return text;
}

void fill(const PluginFile& file, const PluginEntry& entry, Plugin& plugin) {
  constexpr const char* kAdvice = "mend the plugin's PERTURB_PLUGIN block and build it anew";
  try {
    entry.fill(plugin);
  } catch (const Error& error) {
    throw refused(file.path, error.what(), error.advice().empty() ? kAdvice : error.advice());
  } catch (const std::exception& error) {
    throw refused(file.path, std::string("saying what it brings, it threw: ") + error.what(),
                  kAdvice);
  } catch (...) {
    throw refused(file.path, "saying what it brings, it threw something", kAdvice);
  }
  if (plugin.components().empty()) throw refused(file.path, "it brings nothing", kAdvice);
  if (plugin.trains() && file.libtorch.empty())
    throw refused(file.path,
                  "it brings what takes part in training, but does not say with which LibTorch it "
                  "was built",
                  "compile with the flags of `pkg-config --cflags perturb-train`");
}

std::shared_ptr<const Plugin> load(const PluginFile& file) {
  // Everything that is missing is told now, and what it defines stays its own.
  void* library = dlopen(file.path.c_str(), RTLD_NOW | RTLD_LOCAL);
  if (!library)
    throw refused(file.path, "it cannot be loaded: " + loader_error(file.path),
                  "link it against what it uses, and build it anew against this perturb");
  const auto symbol = reinterpret_cast<decltype(&perturb_plugin)>(dlsym(library, "perturb_plugin"));
  if (!symbol)
    throw refused(file.path, "it does not export perturb_plugin",
                  "keep PERTURB_PLUGIN's symbol visible");
  const PluginEntry* entry = symbol();
  require_stamp(file.path, entry->stamp);
  auto plugin = std::make_shared<Plugin>();
  fill(file, *entry, *plugin);
  // What was loaded has to be what the digest says, for results are kept under that.
  if (examine_plugin(file.path).digest != file.digest)
    throw refused(file.path, "it changed while it was being loaded", "try again");
  return plugin;
}

}  // namespace

std::shared_ptr<const Plugin> load_plugin(const PluginFile& file) {
  static std::mutex mutex;
  static auto* const all = new std::map<std::string, Known>;  // what plugins made may outlive main
  const std::lock_guard lock(mutex);
  const auto found = all->find(file.path.string());
  if (found == all->end()) {
    return all->emplace(file.path.string(), Known{file.digest, load(file)}).first->second.plugin;
  }
  if (found->second.digest != file.digest)
    throw refused(file.path, "it is loaded already, and the file has changed since", "start anew");
  return found->second.plugin;
}

}  // namespace perturb
