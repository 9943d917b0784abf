// Stages that a former run has put into the queue: whether one of them does what is wanted now.
#pragma once

#include <cstddef>
#include <optional>
#include <unordered_map>

#include "execute/slurm_batch.h"

namespace perturb {

/// Where a stage was submitted.
struct Spot {
  std::size_t batch = 0;
  std::size_t task = 0;
  std::size_t place = 0;  ///< the stage's number in the batch
};

/// Whether whoever carries out the one does all that is wanted of the other, too.
bool covers(const Assignment& queued, const Assignment& wanted);

class FormerStages {
 public:
  /// Those of a batch that nobody has cancelled and whose end the store does not know.
  void add(const BatchFolder& folder, std::size_t batch);
  /// Where one is that covers what is wanted; it is not given away again.
  std::optional<Spot> take(const Assignment& wanted);
  void clear() { stages_.clear(); }

 private:
  struct Stage {
    Spot spot;
    Assignment assignment;
  };
  std::unordered_multimap<Digest, Stage> stages_;  // by last state
};

}  // namespace perturb
