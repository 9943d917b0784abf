#include "cli/plugins.h"

#include <algorithm>
#include <optional>
#include <string_view>
#include <utility>

#include <fmt/format.h>

#include "cli/engine_loader.h"
#include "cli/plugin_probe.h"
#include "perturb/report/plot.h"

namespace perturb {

namespace {

namespace fs = std::filesystem;

struct Asked {
  std::string name;
  fs::path folder;             ///< that a relative name starts from
  std::optional<Place> place;  ///< in an experiment file
};

bool same_file(const PluginFile& a, const PluginFile& b) { return a.path == b.path; }

/// Throws Error(Usage).
void add(Context& context, const PluginFile& file) {
  LoadedPlugin loaded{file, load_plugin(file)};
  try {
    loaded.plugin->add_to(context.schema, Origin{file.path.string(), file.digest});
  } catch (const Error& error) {
    throw Error(error.code(), fmt::format("plugin {}: {}", file.path.string(), error.what()),
                error.advice());
  }
  context.plugins.push_back(std::move(loaded));
}

/// Files that are new to this process, each once.
class Loading {
 public:
  explicit Loading(Context& context) : context_(context) {}

  /// Does what may throw Error; in an experiment file that is collected, with its place.
  template <class Step>
  void attempt(const std::optional<Place>& place, const Step& step) {
    try {
      step();
    } catch (const Error& error) {
      if (!place) throw;
      diagnostics_.push_back({*place, error.what(), error.advice(), false});
    }
  }

  void examine(const Asked& asked) {
    attempt(asked.place, [&] {
      const PluginFile file = examine_plugin(find_plugin(asked.name, asked.folder));
      const bool known =
          std::any_of(context_.plugins.begin(), context_.plugins.end(),
                      [&](const LoadedPlugin& loaded) { return same_file(loaded.file, file); }) ||
          std::any_of(files_.begin(), files_.end(),
                      [&](const PluginFile& other) { return same_file(other, file); });
      if (known) return;
      files_.push_back(file);
      places_.push_back(asked.place);
    });
  }

  void load() {
    report();
    if (files_.empty()) return;
    // Before this process loads LibTorch, for both take half a second and neither needs the other.
    PluginProbe probe(files_);
    const bool trains = std::any_of(files_.begin(), files_.end(),
                                    [](const PluginFile& file) { return !file.libtorch.empty(); });
    const std::string libtorch = trains ? load_training_half() : "";
    for (std::size_t i = 0; i < files_.size(); ++i)
      attempt(places_[i], [&] { require_libtorch(files_[i], libtorch); });
    report();
    if (const auto crash = probe.wait())
      attempt(places_[crash->number], [&] { throw crash->error; });
    report();
    for (std::size_t i = 0; i < files_.size(); ++i)
      attempt(places_[i], [&] { add(context_, files_[i]); });
    report();
  }

 private:
  void report() {
    if (!diagnostics_.empty()) throw InvalidExperiment(std::move(diagnostics_));
  }

  Context& context_;
  std::vector<PluginFile> files_;
  std::vector<std::optional<Place>> places_;
  std::vector<Diagnostic> diagnostics_;
};

}  // namespace

void load_plugins(Context& context) {
  Loading loading(context);
  for (const std::string& name : context.plugin_names)
    loading.examine({name, fs::current_path(), std::nullopt});
  loading.load();
}

void load_plugins(Context& context, const std::vector<NamedPlugin>& named,
                  const fs::path& experiment_file) {
  Loading loading(context);
  for (const NamedPlugin& one : named)
    loading.examine({one.name, fs::absolute(experiment_file).parent_path(), one.place});
  loading.load();
}

std::vector<std::string> exact_plugins(const Context& context) {
  std::vector<std::string> all;
  for (const LoadedPlugin& loaded : context.plugins)
    all.push_back(loaded.file.digest.hex() + ":" + loaded.file.path.string());
  return all;
}

void load_exact_plugins(Context& context, const std::vector<std::string>& exact) {
  for (const std::string& one : exact) {
    const auto colon = one.find(':');
    const auto digest = Digest::from_hex(one.substr(0, colon));
    if (!digest || colon == std::string::npos)
      throw Error(ExitCode::Usage, "\"" + one + "\" is not DIGEST:FILE");
    const PluginFile file = examine_plugin(one.substr(colon + 1));
    if (file.digest != *digest)
      throw Error(ExitCode::Usage,
                  fmt::format("plugin {}: the file has changed since the run began: it was {}, now "
                              "it is {}",
                              file.path.string(), digest->brief(), file.digest.brief()),
                  "`perturb run` again: what the new one computes are other trials");
    if (!file.libtorch.empty()) require_libtorch(file, load_training_half());
    add(context, file);
  }
}

Registry<Plotter> all_plotters(const Context& context) {
  Registry<Plotter> all = plotters();
  for (const LoadedPlugin& loaded : context.plugins) loaded.plugin->add_to(all);
  return all;
}

std::string command_of_run(const Context& context) {
  std::string text = context.command_line;
  for (const LoadedPlugin& loaded : context.plugins)
    text += fmt::format("{} plugin {} sha256 {}",
                        text.size() == context.command_line.size() ? "  #" : ",",
                        loaded.file.path.string(), loaded.file.digest.hex());
  return text;
}

}  // namespace perturb
