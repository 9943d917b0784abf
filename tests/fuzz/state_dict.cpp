// Any bytes are a state_dict or Error(Usage); nothing else, in bounded time and memory. Seeds:
// tests/core/state_dicts. Damage to an archive is mostly met by its checksums, so that the same
// bytes are read as the pickle of one, too.
#include "perturb/core/state_dict.h"

#include <array>
#include <cstdint>
#include <string>
#include <string_view>

#include "core/pickle.h"
#include "perturb/core/error.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* bytes, std::size_t size) {
  const std::string_view text(reinterpret_cast<const char*>(bytes), size);
  constexpr std::array<std::string_view, 2> kKnown = {"torch FloatStorage",
                                                      "torch._utils _rebuild_tensor_v2"};
  try {
    perturb::write_safetensors(perturb::read_state_dict(text).tensors, {});
  } catch (const perturb::Error&) {
  }
  try {
    const perturb::Pickle pickle(text, kKnown);
  } catch (const perturb::Error&) {
  }
  return 0;
}
