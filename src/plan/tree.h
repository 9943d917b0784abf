// Trials as paths through a tree: as long as the same is in force in two of them, they are one
// path. Where one of them ends, or something starts or ends in one of them alone, is a node.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <unordered_map>
#include <vector>

#include "perturb/core/digest.h"
#include "perturb/experiment/assignment.h"

namespace perturb {

/// The steps [begin, end) between two nodes. A root is [0, 0): what is fixed before step 0.
struct Segment {
  std::size_t parent;
  std::uint32_t in_force;
  Step begin;
  Step end;
  std::vector<std::size_t> children;
};

class Tree {
 public:
  /// The segment at whose end the trial ends. Stays that segment whatever is added later.
  std::size_t add(const Trial& trial, Step end);

  const Segment& operator[](std::size_t segment) const { return segments_[segment]; }
  std::size_t size() const { return segments_.size(); }
  /// From the root to this segment.
  std::vector<std::size_t> path_to(std::size_t segment) const;
  /// Steps of all segments together.
  std::int64_t steps() const;

 private:
  /// The number of a text, and the text that was asked for last.
  struct Last {
    std::string text;
    std::uint32_t number = 0;
  };
  std::uint32_t number_of(const std::string& text, Last& last);
  std::size_t child(std::size_t parent, std::uint32_t in_force, Step begin, Step end);
  void split(std::size_t segment, Step at);

  std::vector<Segment> segments_;
  std::unordered_map<Digest, std::uint32_t> texts_;
  Last before_;
  Last within_;
  std::unordered_map<std::uint64_t, std::size_t> places_;  // by parent and what is in force
};

}  // namespace perturb
