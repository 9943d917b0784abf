// Weights that were trained elsewhere as the start of a network: `model.weights` of a condition.
#pragma once

#include <vector>

#include "perturb/experiment/condition.h"
#include "perturb/train/task.h"

namespace perturb {

/// The task's models (Task::start) as the condition wants them: initialised, or with the values of
/// the file that it names. Throws Error(Usage) where the file is not the one that the trial was
/// planned with, or not all of it or of the models has its counterpart.
std::vector<Model*> started(Task& task, const Ingredients& ingredients);

}  // namespace perturb
