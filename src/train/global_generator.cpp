#include "train/global_generator.h"

#include <ATen/ATen.h>

#include <cstddef>
#include <functional>
#include <mutex>
#include <string_view>

namespace perturb {

std::uint64_t global_generator_digest() {
  auto generator = at::globalContext().defaultGenerator(at::kCPU);
  const std::lock_guard lock(generator.mutex());
  const auto state = generator.get_state();
  const auto* bytes = static_cast<const char*>(state.data_ptr());
  return std::hash<std::string_view>{}({bytes, static_cast<std::size_t>(state.numel())});
}

}  // namespace perturb
