#include "perturb/core/name_pattern.h"

#include <cstddef>

namespace perturb {

bool matches(std::string_view pattern, std::string_view name) {
  // On a mismatch the last star takes one character more: linear for one star, and never
  // worse than the product of the two lengths.
  std::size_t p = 0, n = 0;
  std::size_t star = std::string_view::npos, taken = 0;
  while (n < name.size()) {
    if (p < pattern.size() && pattern[p] == '*') {
      star = p++;
      taken = n;
    } else if (p < pattern.size() && pattern[p] == name[n]) {
      ++p;
      ++n;
    } else if (star != std::string_view::npos) {
      p = star + 1;
      n = ++taken;
    } else {
      return false;
    }
  }
  return pattern.find_first_not_of('*', p) == std::string_view::npos;
}

}  // namespace perturb
