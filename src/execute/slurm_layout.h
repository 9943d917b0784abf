// How stages become tasks, and tasks job arrays: few jobs, whatever the plan's tree looks like.
// Pure; knows numbers only.
//
// A task is a path of the tree, or several: what goes on from the end of a stage without anything
// else to wait for is carried out right after it, in the same process. Tasks that wait for others
// are one level deeper; a level is some arrays, each of which waits for those arrays that it has
// to. There are at most kMostLevels of them, and what would lie deeper is put into the task that it
// waits for.
#pragma once

#include <cstddef>
#include <optional>
#include <string>
#include <vector>

#include "perturb/experiment/timeline.h"

namespace perturb {

/// With both, a submission makes at most kMostLevels + kMostArrays arrays.
inline constexpr std::size_t kMostLevels = 8;
inline constexpr std::size_t kMostArrays = 8;  ///< full ones

/// A stage that is to be submitted. Others are named by their place in the list, which is before
/// its own.
struct Unsubmitted {
  std::optional<std::size_t> parent;
  std::vector<std::size_t> after;
  std::vector<std::string> jobs;  ///< in the queue already, and to be waited for
  Step steps = 0;
  bool alone = false;  ///< it has ended a task before: nothing is to be in danger beside it
};

struct LayoutLimits {
  std::size_t array = 1000;  ///< tasks of an array
  std::size_t tasks = 1000;  ///< of all together, if `alone` is not said of more
  std::size_t bundle = 1;    ///< paths in a task, at least
  Step bundle_steps = 0;     ///< paths are put together until there are as many steps
};

struct ArrayLayout {
  std::vector<std::vector<std::size_t>> tasks;  ///< of each, its stages in order
  std::vector<std::size_t> after;               ///< arrays, which come before
  std::vector<std::string> jobs;                ///< in the queue, to be waited for
};

/// Every stage is in one task, behind what it waits for in the same task, and otherwise in an array
/// that waits for that of the other.
std::vector<ArrayLayout> lay_out(const std::vector<Unsubmitted>& stages,
                                 const LayoutLimits& limits);

}  // namespace perturb
