// How far a trial is, seen from another thread, and the wish that it should stop.
#pragma once

#include <atomic>
#include <cstdint>

namespace perturb {

/// The trainer writes `step` and `loss`, the watcher `stop`; nothing is ordered by them.
struct Progress {
  std::atomic<std::int64_t> step{0};
  std::atomic<float> loss{0};
  std::atomic<bool> stop{false};
};

}  // namespace perturb
