// From stages that wait to jobs that Slurm has: batches with their files, and sbatch. Shared by the
// executor and by the dry run, which shows the same scripts.
#pragma once

#include <cstddef>
#include <string>
#include <vector>

#include "execute/slurm_batch.h"
#include "execute/slurm_commands.h"
#include "execute/slurm_layout.h"
#include "perturb/execute/slurm.h"

namespace perturb {

/// What options and cluster allow. Tasks are at most half of what the cluster takes of all users.
LayoutLimits layout_limits(const SlurmOptions& options, const SlurmLimits& limits);

/// "60 stages in 12 tasks of 2 job arrays"
std::string size_text(const std::vector<ArrayLayout>& arrays);

/// Makes a batch of these tasks, ready to be submitted. `after`: numbers of jobs.
BatchFolder write_batch(const SlurmOptions& options,
                        const std::vector<std::vector<TaskStage>>& tasks,
                        const std::vector<std::string>& after);

struct Submission {
  enum class Is {
    Accepted,
    Later,   ///< Slurm does not take it now
    Unsure,  ///< there was no answer: it may have been taken
  };
  Is is = Is::Later;
  std::string job;      ///< its number; of an accepted one
  std::string trouble;  ///< of the others
};
/// Throws Error for a job that Slurm will never take.
Submission submit(const BatchFolder& batch);

}  // namespace perturb
