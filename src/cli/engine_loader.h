// Loads the training half when something has to be trained: LibTorch takes half a second to
// load, and no other command needs it.
#pragma once

#include <filesystem>
#include <memory>
#include <vector>

#include "perturb/train/engine.h"

namespace perturb {

/// Where libperturb_train.so may be, in order: beside the program (a build folder), in
/// ../lib and its multiarch folder, and where it was configured to be installed. $PERTURB_TRAIN
/// names another one, such as a build with CUDA, and then it is the only one.
std::vector<std::filesystem::path> engine_places();

/// Error(Usage) with what to do if it is not there, cannot be loaded, or is of another version.
/// The library stays loaded: what LibTorch registers cannot be taken back.
std::unique_ptr<Engine> load_engine(const EngineOptions& options);

}  // namespace perturb
