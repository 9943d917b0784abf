#include "perturb/train/handover.h"

#include <utility>

#include <ATen/ATen.h>

namespace perturb {
namespace {

/// Gradients and the initial parameters, which a session has beside its state.
constexpr std::size_t kBesides = 2;

std::size_t bytes_of(const FlatState& state) {
  return state.buffers().nbytes() +
         state.parameters().nbytes() * (1 + kBesides + state.moments().size());
}

}  // namespace

bool Handover::leave(const Digest& state, Live& live, std::size_t heirs) {
  const auto& left = live.session->state();
  const auto bytes = bytes_of(left) * (heirs > 1 ? 2 : 1);
  {
    const std::lock_guard lock(mutex_);
    // The same state twice: another stage leads there, too, for heirs of its own.
    if (used_ + bytes > room_ || waiting_.contains(state)) return false;
    used_ += bytes;
  }
  Waiting waiting;
  if (heirs > 1) waiting.snapshot = std::make_shared<const Snapshot>(left.snapshot());
  waiting.live = std::move(live);
  waiting.heirs = heirs;
  waiting.bytes = bytes;
  const std::lock_guard lock(mutex_);
  waiting_.insert_or_assign(state, std::move(waiting));
  return true;
}

Handover::Left Handover::take(const Digest& state) {
  const std::lock_guard lock(mutex_);
  const auto found = waiting_.find(state);
  if (found == waiting_.end()) return {};
  auto& waiting = found->second;
  Left left{std::move(waiting.live), nullptr};
  waiting.live = {};
  if (!left.live.session) left.snapshot = waiting.snapshot;
  if (--waiting.heirs == 0) {
    used_ -= waiting.bytes;
    waiting_.erase(found);
  }
  return left;
}

}  // namespace perturb
