// Loads the training half when something has to be trained: LibTorch takes half a second to
// load, and no other command needs it.
#pragma once

#include <filesystem>
#include <memory>
#include <string>
#include <vector>

#include "cli/commands.h"
#include "perturb/train/engine.h"

namespace perturb {

/// Where libperturb_train.so may be, in order: beside the program (a build folder), in
/// ../lib and its multiarch folder, and where it was configured to be installed. $PERTURB_TRAIN
/// names another one, such as a build with CUDA, and then it is the only one.
std::vector<std::filesystem::path> engine_places();

/// Loads the library, if it is not loaded yet. Error(Usage) with what to do if it is not there or
/// cannot be loaded. It stays loaded: what LibTorch registers cannot be taken back. Returns the
/// version of LibTorch that it goes with.
std::string load_training_half();

/// Error(Usage) as above, or if the library is of another version.
std::unique_ptr<Engine> load_engine(const EngineOptions& options);

/// What the context says of data, with what its plugins bring; `experiment_file` may be empty.
EngineOptions engine_options(const Context& context, const std::filesystem::path& experiment_file);

}  // namespace perturb
