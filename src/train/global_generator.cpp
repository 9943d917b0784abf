#include "train/global_generator.h"

#include <cstddef>
#include <functional>
#include <mutex>
#include <string_view>

#include <ATen/ATen.h>

#include "perturb/train/torch_module.h"

namespace perturb {
namespace {

/// Held while a keeper lives, so that nobody sees the generator before it is back.
std::mutex& keeping() {
  static std::mutex mutex;
  return mutex;
}

Tensor generator_state() {
  auto generator = at::globalContext().defaultGenerator(at::kCPU);
  const std::lock_guard lock(generator.mutex());
  return generator.get_state();
}

}  // namespace

std::uint64_t global_generator_digest() {
  const std::lock_guard lock(keeping());
  const auto state = generator_state();
  const auto* bytes = static_cast<const char*>(state.data_ptr());
  return std::hash<std::string_view>{}({bytes, static_cast<std::size_t>(state.numel())});
}

GlobalGeneratorKeeper::GlobalGeneratorKeeper() {
  keeping().lock();
  state_ = generator_state();
}

GlobalGeneratorKeeper::~GlobalGeneratorKeeper() {
  auto generator = at::globalContext().defaultGenerator(at::kCPU);
  {
    const std::lock_guard lock(generator.mutex());
    generator.set_state(state_);
  }
  keeping().unlock();
}

}  // namespace perturb
