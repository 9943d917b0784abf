// LibTorch's global generator, which nothing here may move: all threads share it, and what
// depends on it depends on everything that ran before.
#pragma once

#include <cstdint>

namespace perturb {

/// Changes whenever somebody draws from the generator or seeds it. Waits for any
/// GlobalGeneratorKeeper (train/torch_module.h) to put it back.
std::uint64_t global_generator_digest();

}  // namespace perturb
