#include "cli/engine_loader.h"

#include <cstdlib>
#include <dlfcn.h>
#include <string>

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

std::unique_ptr<Engine> load_engine(const EngineOptions& options) {
  std::filesystem::path found;
  for (const auto& place : engine_places()) {
    if (std::filesystem::exists(place)) {
      found = place;
      break;
    }
  }
  if (found.empty())
    throw Error(ExitCode::Usage,
                std::string("cannot train: the training half, ") + kLibrary +
                    ", is not installed (looked in " + looked_in() + ")",
                "build it with `./dev build`, which installs LibTorch if need be");
  // RTLD_NOW: a symbol that is missing is told here, not in the middle of a trial.
  void* library = dlopen(found.c_str(), RTLD_NOW | RTLD_LOCAL);
  if (!library)
    throw Error(ExitCode::Usage, std::string("cannot load the training half: ") + dlerror(),
                "is LibTorch installed, and of the version that perturb was built with? "
                "`./dev build` builds anew");
  using Entry = decltype(&perturb_engine);
  const auto entry = reinterpret_cast<Entry>(dlsym(library, "perturb_engine"));
  std::unique_ptr<Engine> engine(entry ? entry(kEngineVersion, &options) : nullptr);
  if (!engine)
    throw Error(ExitCode::Usage, found.string() + " belongs to another version of perturb",
                "build or install both halves together: `./dev build`");
  return engine;
}

}  // namespace perturb
