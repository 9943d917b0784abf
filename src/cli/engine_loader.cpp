#include "cli/engine_loader.h"

#include <cstdlib>
#include <dlfcn.h>
#include <string>

#include "perturb/catalog/data_files.h"
#include "perturb/core/error.h"

namespace perturb {

namespace {

constexpr const char* kLibrary = "libperturb_train.so";

std::string looked_in() {
  std::string all;
  for (const auto& place : engine_places())
    all += (all.empty() ? "" : ", ") + place.parent_path().string();
  return all;
}

struct TrainingHalf {
  std::filesystem::path path;
  void* library = nullptr;
};

Error of_another_version(const TrainingHalf& half) {
  return {ExitCode::Usage, half.path.string() + " belongs to another version of perturb",
          "build or install both halves together: `./dev build`"};
}

void* symbol_of(const TrainingHalf& half, const char* name) {
  void* symbol = dlsym(half.library, name);
  if (!symbol) throw of_another_version(half);
  return symbol;
}

TrainingHalf load_library() {
  TrainingHalf half;
  for (const auto& place : engine_places()) {
    if (std::filesystem::exists(place)) {
      half.path = place;
      break;
    }
  }
  if (half.path.empty())
    throw Error(ExitCode::Usage,
                std::string("cannot train: the training half, ") + kLibrary +
                    ", is not installed (looked in " + looked_in() + ")",
                "build it with `./dev build`, which installs LibTorch if need be");
  // RTLD_NOW: a symbol that is missing is told here, not in the middle of a trial.
  half.library = dlopen(half.path.c_str(), RTLD_NOW | RTLD_LOCAL);
  if (!half.library)
    throw Error(ExitCode::Usage, std::string("cannot load the training half: ") + dlerror(),
                "is LibTorch installed, and of the version that perturb was built with? "
                "`./dev build` builds anew");
  return half;
}

const TrainingHalf& training_half() {
  static const TrainingHalf half = load_library();
  return half;
}

}  // namespace

std::vector<std::filesystem::path> engine_places() {
  if (const char* other = std::getenv("PERTURB_TRAIN")) return {other};
  std::vector<std::filesystem::path> places;
  std::error_code error;
  const auto program = std::filesystem::read_symlink("/proc/self/exe", error);
  if (!error) {
    const auto folder = program.parent_path();
    places.push_back(folder / kLibrary);
    places.push_back(folder.parent_path() / "lib" / kLibrary);
#ifdef PERTURB_LIBDIR
    places.push_back(folder.parent_path() / PERTURB_LIBDIR / kLibrary);
#endif
  }
#ifdef PERTURB_FULL_LIBDIR
  places.push_back(std::filesystem::path(PERTURB_FULL_LIBDIR) / kLibrary);
#endif
  return places;
}

std::string load_training_half() {
  const auto version =
      reinterpret_cast<decltype(&perturb_libtorch)>(symbol_of(training_half(), "perturb_libtorch"));
  return version();
}

std::unique_ptr<Engine> load_engine(const EngineOptions& options) {
  const TrainingHalf& half = training_half();
  const auto entry = reinterpret_cast<decltype(&perturb_engine)>(symbol_of(half, "perturb_engine"));
  std::unique_ptr<Engine> engine(entry(kEngineVersion, &options));
  if (!engine) throw of_another_version(half);
  return engine;
}

EngineOptions engine_options(const Context& context, const std::filesystem::path& experiment_file) {
  EngineOptions options;
  options.data_folders = data_folders(context.data_options(experiment_file));
  options.extend = [plugins = context.plugins](Registries& registries) {
    for (const LoadedPlugin& loaded : plugins) loaded.plugin->add_to(registries);
  };
  return options;
}

}  // namespace perturb
