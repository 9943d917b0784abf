// What a run will do, decided before anything is done: which trials the store answers and
// which have to be trained. Pure: an experiment and what is known go in, a plan comes out.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "perturb/core/digest.h"
#include "perturb/experiment/experiment.h"
#include "perturb/store/store.h"

namespace perturb {

/// Why a trial is, or is not, carried out.
enum class Reason {
  Cached,      ///< trained as far as asked, and every metric is there
  Diverged,    ///< it diverged before; it would again, bit for bit
  New,         ///< the store has never seen it
  Longer,      ///< it was trained, but not as far as asked now
  Unmeasured,  ///< trained far enough, but a metric is missing
  Retried,     ///< it failed or was interrupted before
};
std::string_view name_of(Reason reason);
/// Whether a trial planned for this reason is carried out.
bool runs(Reason reason);

struct Planned {
  Digest trial;
  Step end = 0;
  Reason reason = Reason::New;
  /// False when another member of the experiment is the same trial, goes at least as far,
  /// measures at least as much, and so answers for it.
  bool first = true;
};

/// Steps to run of trials that train this model on these data: what an estimate of time needs.
struct Work {
  std::string model;
  std::string data;
  std::int64_t steps = 0;
};

struct Plan {
  std::vector<Planned> trials;     ///< by trial number
  std::vector<std::size_t> order;  ///< numbers of the trials to carry out, controls first
  std::int64_t steps_asked = 0;    ///< over distinct trials
  std::int64_t steps_to_run = 0;
  std::size_t distinct = 0;
  std::size_t cached = 0;  ///< distinct trials that the store answers
  std::vector<Work> work;  ///< steps_to_run, by model and data
};

Plan make_plan(const Experiment& experiment, const Store& store);

/// Puts the trials to carry out into a random order. Results do not depend on it (law 3).
void shuffle(Plan& plan, std::uint64_t seed);

/// Seconds that the plan takes with so many workers, from the median speed of what the store
/// holds. Nothing when there is work of a kind that the store has never seen.
std::optional<double> estimate(const Plan& plan, const Store& store, std::size_t workers);

}  // namespace perturb
