#include "perturb/experiment/calendar.h"

#include <algorithm>
#include <cassert>

namespace perturb {

Calendar::Calendar(const Timeline& timeline, std::int64_t examples) : examples_(examples) {
  assert(examples > 0);
  for (const auto& stretch : timeline.stretches) {
    const auto size = std::max<std::int64_t>(1, stretch.condition.integer("data.batch_size"));
    if (!legs_.empty() && legs_.back().size == size) continue;
    const auto begin = stretch.window.begin;
    const auto next = legs_.empty() ? Batch{} : batch(begin);
    legs_.push_back({begin, next.epoch, next.offset, size});
  }
}

const Calendar::Leg& Calendar::leg(Step step) const {
  auto after = std::upper_bound(legs_.begin(), legs_.end(), step,
                                [](Step s, const Leg& leg) { return s < leg.begin; });
  return *std::prev(after);
}

Batch Calendar::batch(Step step) const {
  const auto& l = leg(step);
  // A leg may begin within an epoch: its first, shortened epoch, then whole ones.
  const auto left = (examples_ - l.offset + l.size - 1) / l.size;
  auto epoch = l.epoch;
  auto offset = l.offset;
  if (const auto taken = step - l.begin; taken < left) {
    offset += taken * l.size;
  } else {
    const auto whole = (examples_ + l.size - 1) / l.size;
    epoch += 1 + (taken - left) / whole;
    offset = (taken - left) % whole * l.size;
  }
  return {epoch, offset, std::min(l.size, examples_ - offset)};
}

Step Calendar::end_of(std::int64_t epochs) const {
  if (epochs <= 0) return 0;
  for (std::size_t i = 0; i < legs_.size(); ++i) {
    const auto& l = legs_[i];
    const auto left = (examples_ - l.offset + l.size - 1) / l.size;
    const auto whole = (examples_ + l.size - 1) / l.size;
    // The legs before this one end before `epochs` passes are complete.
    if (epochs <= l.epoch) return l.begin;
    if (epochs - l.epoch - 1 > (kForever - l.begin - left) / whole) return kForever;
    const auto end = l.begin + left + (epochs - l.epoch - 1) * whole;
    if (i + 1 == legs_.size() || end <= legs_[i + 1].begin) return end;
  }
  return kForever;
}

std::optional<Step> Calendar::matching(const Batch& other) const {
  Step low = end_of(other.epoch);
  Step high = end_of(other.epoch + 1);
  while (low < high) {
    const Step middle = low + (high - low) / 2;
    (batch(middle).offset < other.offset ? low = middle + 1 : high = middle);
  }
  const auto found = batch(low);
  if (found.epoch != other.epoch || found.offset != other.offset) return std::nullopt;
  return low;
}

double Calendar::epochs_before(Step at) const {
  const auto next = batch(at);
  return static_cast<double>(next.epoch) +
         static_cast<double>(next.offset) / static_cast<double>(examples_);
}

}  // namespace perturb
