#include "plan/tree.h"

#include <algorithm>

#include "perturb/plan/plan.h"

namespace perturb {

namespace {

std::uint64_t place(std::size_t parent, std::uint32_t in_force) {
  return static_cast<std::uint64_t>(parent) << 32 | in_force;
}

}  // namespace

std::uint32_t Tree::number_of(const std::string& text, Last& last) {
  // Trials come in order, and mostly have what the one before had.
  if (!texts_.empty() && text == last.text) return last.number;
  // By digest: the texts of 100,000 trials would be most of a plan's memory.
  const auto next = static_cast<std::uint32_t>(texts_.size());
  last.number = texts_.try_emplace(sha256(text), next).first->second;
  last.text = text;
  return last.number;
}

std::size_t Tree::child(std::size_t parent, std::uint32_t in_force, Step begin, Step end) {
  const auto [entry, is_new] = places_.try_emplace(place(parent, in_force), segments_.size());
  if (is_new) {
    segments_.push_back({parent, in_force, begin, end, {}});
    if (parent != kNone) segments_[parent].children.push_back(entry->second);
  }
  return entry->second;
}

void Tree::split(std::size_t segment, Step at) {
  // The later part keeps its number, and with it its children and whoever ends there.
  const std::size_t head = segments_.size();
  const Segment tail = segments_[segment];
  segments_.push_back({tail.parent, tail.in_force, tail.begin, at, {segment}});
  segments_[segment].parent = head;
  segments_[segment].begin = at;
  places_[place(tail.parent, tail.in_force)] = head;
  places_[place(head, tail.in_force)] = segment;
  auto& siblings = segments_[tail.parent].children;
  *std::find(siblings.begin(), siblings.end(), segment) = head;
}

std::size_t Tree::add(const Trial& trial, Step end) {
  std::size_t at = child(kNone, number_of(trial.past.before, before_), 0, 0);
  for (std::size_t i = 0; i < trial.timeline.stretches.size(); ++i) {
    const Window& window = trial.timeline.stretches[i].window;
    const Step until = std::min(window.end, end);
    if (window.begin >= until) break;
    const std::uint32_t in_force = number_of(trial.past.within[i], within_);
    for (Step from = window.begin; from < until; from = segments_[at].end) {
      std::size_t next = child(at, in_force, from, until);
      if (segments_[next].end > until) {
        split(next, until);
        next = segments_[next].parent;
      }
      at = next;
    }
  }
  return at;
}

std::vector<std::size_t> Tree::path_to(std::size_t segment) const {
  std::vector<std::size_t> path;
  for (; segment != kNone; segment = segments_[segment].parent) path.push_back(segment);
  std::reverse(path.begin(), path.end());
  return path;
}

std::int64_t Tree::steps() const {
  std::int64_t steps = 0;
  for (const Segment& segment : segments_) steps += segment.end - segment.begin;
  return steps;
}

}  // namespace perturb
