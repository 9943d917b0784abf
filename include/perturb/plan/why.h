// Law 7: why a trial is cached, resumable or new; and in what two trials differ.
#pragma once

#include <cstddef>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "perturb/experiment/experiment.h"
#include "perturb/plan/plan.h"
#include "perturb/store/store.h"

namespace perturb {

/// What a trial's identity is made of, as people read it, by name: fields of the condition,
/// "intervention", and the ingredients.
using Makeup = std::map<std::string, std::string>;

Makeup makeup(const Experiment& experiment, const Trial& trial);
/// Of a trial that the store knows, with everything in its condition.
Makeup makeup(const StoredTrial& trial);

/// Something that two trials do not have in common; empty where one does not have it at all.
struct Difference {
  std::string name;
  std::string here;
  std::string there;
};
std::vector<Difference> differences(const Makeup& here, const Makeup& there);

struct Explanation {
  std::size_t number = 0;
  std::string because;  ///< one sentence
  /// Of a trial that runs: the one in the store that differs from it in the fewest things.
  std::optional<StoredTrial> nearest;
  std::vector<Difference> differences;
  std::string advice;  ///< what would make use of the nearest; empty when nothing would
};

/// Why the store is of less use than one might think: a schedule that ends with the run makes
/// another trial of a longer one. Empty when there is nothing of the kind.
std::string blocked_reuse(const Experiment& experiment, const Plan& plan, const Store& store);

/// One for each of the trials, by number.
std::vector<Explanation> explain(const Experiment& experiment, const Plan& plan, const Store& store,
                                 const std::vector<std::size_t>& trials);

}  // namespace perturb
