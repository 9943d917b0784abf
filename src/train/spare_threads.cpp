#include "perturb/train/spare_threads.h"

#include <algorithm>

namespace perturb {

std::size_t SpareThreads::take(std::size_t most) {
  long spare = spare_.load();
  for (;;) {
    const long taken = std::clamp<long>(spare, 0, static_cast<long>(most));
    if (taken == 0 || spare_.compare_exchange_weak(spare, spare - taken))
      return static_cast<std::size_t>(taken);
  }
}

}  // namespace perturb
