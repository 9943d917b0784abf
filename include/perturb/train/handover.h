// States that wait in memory for the stages that go on from them. What does not fit is not taken,
// and its owner saves it instead: memory is bounded however wide the tree is.
#pragma once

#include <cstddef>
#include <map>
#include <memory>
#include <mutex>

#include "perturb/core/digest.h"
#include "perturb/train/dataset.h"
#include "perturb/train/flat_state.h"
#include "perturb/train/session.h"

namespace perturb {

/// A session with the data that it uses.
struct Live {
  std::unique_ptr<Session> session;
  std::shared_ptr<const Dataset> data;
};

/// Safe to use from several threads.
class Handover {
 public:
  /// `room`: bytes of states that may wait.
  explicit Handover(std::size_t room) : room_(room) {}

  /// Leaves a session that stands at `state` to `heirs`. False, and nothing taken, without room.
  bool leave(const Digest& state, Live& live, std::size_t heirs);

  /// What one heir goes on with: the session itself for the first, a copy of its state for the
  /// others; neither if nobody left that state, or all its heirs have come.
  struct Left {
    Live live;
    std::shared_ptr<const Snapshot> snapshot;
  };
  Left take(const Digest& state);

 private:
  struct Waiting {
    Live live;
    std::shared_ptr<const Snapshot> snapshot;  // none for an only heir
    std::size_t heirs = 0;                     // still to come
    std::size_t bytes = 0;
  };

  std::mutex mutex_;
  std::map<Digest, Waiting> waiting_;
  std::size_t used_ = 0;
  const std::size_t room_;
};

}  // namespace perturb
