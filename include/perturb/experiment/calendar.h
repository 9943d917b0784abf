// From epochs to steps and back. An epoch is one pass over the training set; how many steps
// that is depends on the batch size, which may change while a run goes on.
#pragma once

#include <cstdint>
#include <optional>
#include <vector>

#include "perturb/experiment/timeline.h"

namespace perturb {

/// The examples of one step: places [offset, offset + size) of the epoch's order.
struct Batch {
  std::int64_t epoch = 0;
  std::int64_t offset = 0;
  std::int64_t size = 0;
};

/// Law: batches tile every epoch without gap or overlap; the last of an epoch may be short.
class Calendar {
 public:
  /// `examples` > 0 training examples; batch sizes are taken from the stretches.
  Calendar(const Timeline& timeline, std::int64_t examples);

  Batch batch(Step step) const;
  /// The step whose batch begins where this one of another calendar does, if there is one.
  std::optional<Step> matching(const Batch& other) const;
  /// The step at which `epochs` passes are complete.
  Step end_of(std::int64_t epochs) const;
  /// Passes over the training set made before step `at`; whole numbers exactly at their ends.
  double epochs_before(Step at) const;

 private:
  struct Leg {
    Step begin;
    std::int64_t epoch, offset;  ///< where the training set stands at `begin`
    std::int64_t size;           ///< batch size
  };
  const Leg& leg(Step step) const;
  std::vector<Leg> legs_;
  std::int64_t examples_;
};

}  // namespace perturb
