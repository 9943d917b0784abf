// What sbatch is given: a script for one array.
#pragma once

#include <cstddef>
#include <string>
#include <vector>

#include "execute/slurm_batch.h"
#include "perturb/execute/slurm.h"

namespace perturb {

struct ScriptFacts {
  std::string name;                ///< of the job
  std::size_t tasks = 1;           ///< of the array
  std::vector<std::string> after;  ///< numbers of jobs that have to be over before
};

/// Ends in the worker, which is told ahead of the end of its time; one that has saved what it was
/// at goes to the end of the queue.
std::string script_of(const SlurmOptions& options, const BatchFolder& batch,
                      const ScriptFacts& facts);

}  // namespace perturb
