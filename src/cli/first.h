// What comes before an experiment: other experiments that it goes on from, of which something has
// to be trained first.
#pragma once

#include <cstddef>
#include <memory>
#include <optional>
#include <vector>

#include "perturb/experiment/experiment.h"
#include "perturb/plan/plan.h"
#include "perturb/store/store.h"

namespace perturb {

struct Trained;
struct Training;

/// What is wanted of one experiment for another one.
struct First {
  std::shared_ptr<const Experiment> experiment;
  Plan plan;  ///< for the states that are wanted; those that the store has count as cached
  std::size_t diverged = 0;  ///< trials that diverged before such a state: nobody waits for them
};

/// What the stages of `plan` need of others, and what these need of others in turn: each experiment
/// once, in the order in which they are trained. What diverged before such a state is left out.
std::vector<First> first_of(const Experiment& experiment, const Plan& plan, const Store& store);

/// The same of all trials of the experiment, those included that are done.
std::vector<First> first_of_all(const Experiment& experiment, const Store& store);

/// Seconds that what comes first takes, one experiment after the other; nothing where there is work
/// of a kind that the store has never seen.
std::optional<double> estimate(const std::vector<First>& first, const Store& store,
                               std::size_t workers);

/// Trains what the plan inherits from other experiments and the store does not have, and before
/// that what these need. Then the plan has to be made anew (Trained::again).
Trained train_first(const Training& training);

}  // namespace perturb
