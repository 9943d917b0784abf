// What this machine calls itself, for people who read where a run took place.
#pragma once

#include <array>
#include <string>
#include <unistd.h>

namespace perturb {

inline std::string host_name() {
  std::array<char, 256> name{};
  if (::gethostname(name.data(), name.size() - 1) != 0) return "unknown host";
  return name.data();
}

}  // namespace perturb
