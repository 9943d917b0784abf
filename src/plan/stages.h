// From trials that have to run, as paths through a tree, to the stages that carry them out: no
// more steps than what is asked for and not known needs.
#pragma once

#include <cstddef>
#include <cstdint>
#include <utility>
#include <vector>

#include "perturb/plan/plan.h"
#include "plan/tree.h"

namespace perturb {

/// A metric wanted at a step; metrics by place in a list of definitions.
using Wanted = std::pair<Step, std::uint32_t>;

/// A trial that is to run.
struct Wanting {
  std::size_t number = 0;
  std::size_t segment = 0;                      ///< at whose end it ends
  std::size_t agenda = 0;                       ///< trials with the same number want the same
  const std::vector<Wanted>* wanted = nullptr;  ///< sorted
};

struct Staging {
  const Experiment& experiment;
  const Store& store;
  const Tree& tree;
  const std::vector<Wanting>& trials;      ///< in the order in which they should be answered
  const std::vector<Digest>& definitions;  ///< of the metrics
};

struct Staged {
  std::vector<Stage> stages;
  std::vector<Adoption> adoptions;
  /// By place in Staging::trials: where training starts; nothing when all is known of the trial.
  std::vector<std::optional<Step>> from;
};

Staged make_stages(const Staging& staging);

}  // namespace perturb
