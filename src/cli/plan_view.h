// A plan as people and programs read it; shared by `plan` and `run --dry-run`.
#pragma once

#include <cstddef>
#include <string>
#include <vector>

#include "cli/commands.h"
#include "cli/experiment_arguments.h"
#include "perturb/plan/plan.h"

namespace perturb {

struct PlanViewOptions {
  bool all = false;         ///< every trial, however many
  std::size_t workers = 1;  ///< for the estimate of time
};

/// Plans and shows the plan on stdout.
void show_plan(Context& context, const ExperimentArguments& arguments,
               const PlanViewOptions& options);

/// "optimizer.momentum=0.9 seeds.init=3": what varies, with the variation's values.
std::string variation_text(const Experiment& experiment, const Trial& trial);
/// "#14 perturb-weights epsilon=0.01 at init | seeds.init=3"
std::string trial_name(const Experiment& experiment, std::size_t number);

}  // namespace perturb
