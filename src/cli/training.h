// Carrying out one plan: with the engine and an executor, a row for the run in the store, and what
// is seen of it meanwhile. Knows nothing of what has to come first (first.h) or comes after.
#pragma once

#include <filesystem>
#include <string>

#include "cli/commands.h"
#include "cli/executors.h"
#include "perturb/experiment/experiment.h"
#include "perturb/plan/plan.h"
#include "perturb/store/store.h"

namespace perturb {

class ReportWriter;

struct TrainingOptions {
  ExecutorArguments executor;
  bool fail_fast = false;  ///< stop at the first trial that fails or diverges
  bool quiet = false;      ///< no progress; failures are still told
};

struct Training {
  Context& context;
  const TrainingOptions& options;
  const std::filesystem::path& file;  ///< of the experiment
  const Experiment& experiment;
  const Plan& plan;
  Store& store;
  ReportWriter* report = nullptr;  ///< kept up to date meanwhile, if there is one
};

struct Trained {
  ExitCode code;       ///< Done, SomeFailed, or that of the signal that came
  bool again = false;  ///< something has to be planned anew
};

/// Trains what the plan says. Blocks until it is over, or a signal has come.
Trained train(const Training& training);

/// Of a plan with nothing to train: there is no run, unless there is something to write down.
void adopt_alone(const Training& training);

/// Whether nothing more is to be trained after this.
bool ends_run(const Trained& trained, const TrainingOptions& options);

void warn(Context& context, const std::string& text);

}  // namespace perturb
