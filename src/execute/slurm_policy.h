// What is to be done about a stage whose task ended before it did. Pure.
#pragma once

#include <cstddef>
#include <string>

#include "execute/slurm_commands.h"
#include "perturb/store/record.h"

namespace perturb {

/// How often a stage has lost its task, since it last made any progress.
struct Troubles {
  std::size_t own = 0;      ///< it may be to blame: killed, out of time, cancelled
  std::size_t foreign = 0;  ///< the cluster is: nodes that failed, preemption
};

struct Verdict {
  bool again = true;
  Outcome outcome = Outcome::Crashed;  ///< when not again
  std::string cause;                   ///< "TIMEOUT on n1", for people
};

/// `progress`: it came further than the time before. Counts in `troubles`.
Verdict judge(const QueuedTask& task, bool progress, std::size_t retries, Troubles& troubles);

}  // namespace perturb
