// What a run will do, decided before anything is done: which trials the store answers, which
// stages have to be carried out, and from where. Pure: an experiment and what is known go in, a
// plan comes out.
//
// Laws 4 and 5: trials are paths through a tree of states; a stage that several of them have is
// carried out once; a state with a checkpoint is not computed again, and neither is anything
// before it that nobody asks about.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <utility>
#include <vector>

#include "perturb/core/digest.h"
#include "perturb/experiment/experiment.h"
#include "perturb/store/store.h"

namespace perturb {

/// Why a trial is, or is not, carried out.
enum class Reason {
  Cached,      ///< reached as far as asked, and every metric is there
  Diverged,    ///< it diverged before; it would again, bit for bit
  New,         ///< the store has never seen it
  Longer,      ///< it was trained, but not as far as asked now
  Unmeasured,  ///< trained far enough, but a metric is missing
  Retried,     ///< it failed or was interrupted before
  Compared,    ///< known itself, but other trials are compared with states of it that are not
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
  /// Of a trial that runs: steps before this one need not be trained again. 0: all must.
  Step from = 0;
};

inline constexpr std::size_t kNone = static_cast<std::size_t>(-1);

/// A metric to be measured.
struct Need {
  Step step = 0;
  std::uint32_t metric = 0;       ///< of the experiment
  std::size_t reference = kNone;  ///< what it compares with, in Plan::references
  auto operator<=>(const Need&) const = default;
};

/// A state of a control that others are compared with.
struct PlannedReference {
  std::size_t trial = 0;  ///< the control's number
  Step step = 0;
  Digest state;
  std::optional<Digest> blob;  ///< in the store; otherwise some stage saves it
};

/// A state of another experiment that stages begin with or learn from.
struct Inherited {
  Predecessor from;
  std::optional<Digest> blob;  ///< in the store
  /// Why nobody can have it, as things are; empty where there is the blob.
  std::string lacking;
  bool hopeless = false;  ///< its trial diverged before it, and would again
};

/// A stretch of one or more trials that is carried out in one piece.
struct Stage {
  std::size_t trial = 0;       ///< the number of one that passes; it says what is in force
  std::size_t parent = kNone;  ///< the stage that it goes on from
  /// Or the blob; neither: from initialisation, at step 0, or from what another stage saved.
  std::optional<Digest> checkpoint;
  Step begin = 0;
  Step end = 0;
  std::vector<Need> needs;          ///< in step order
  std::vector<Step> saves;          ///< states that others are compared with, in order
  std::vector<std::size_t> after;   ///< stages that must be over before: they save such states
  std::vector<std::size_t> trials;  ///< numbers of all that pass, each trial's first
  /// Of others that only begin like these: what is measured at step 0 is theirs, too.
  std::vector<std::size_t> beginners;
  std::size_t heirs = 0;   ///< stages that go on from it
  bool is_an_end = false;  ///< some trial ends at its end
  bool draws = false;      ///< toward states of another trial

  Step steps() const { return end - begin; }
};

/// States that trials go through and the store has from elsewhere.
struct Adoption {
  std::size_t trial = 0;
  std::vector<StateAt> states;
  bool done = false;  ///< the trial's end is among them
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
  std::vector<Stage> stages;       ///< in the order to carry them out in; parents come earlier
  std::vector<Adoption> adoptions;
  std::vector<PlannedReference> references;
  std::vector<Inherited> inherited;  ///< each once, in the order of the states
  std::int64_t steps_asked = 0;      ///< over distinct trials
  std::int64_t steps_shared = 0;     ///< of these, when what they have in common is trained once
  std::int64_t steps_to_run = 0;     ///< of these, what the store does not have
  std::size_t distinct = 0;
  std::size_t cached = 0;  ///< distinct trials that the store answers
  std::vector<Work> work;  ///< steps_to_run, by model and data
};

Plan make_plan(const Experiment& experiment, const Store& store);

/// The least that has to be done of `experiment`, as the trials that they are of do it, for these
/// states to be saved. What is measured until then is measured on the way. Trials that nothing is
/// wanted of are left blank.
Plan plan_of_states(const Experiment& experiment, const Store& store,
                    const std::vector<Predecessor>& states);

/// The inherited state of that digest; null where there is none.
const Inherited* find_inherited(const Plan& plan, const Digest& state);

/// Of what a plan inherits: the states of one of the others that have to be made first.
std::vector<Predecessor> lacking_states(const Plan& plan, std::size_t other);

/// Puts the stages that wait for no other into a random order. Results do not depend on it (law 3).
void shuffle(Plan& plan, std::uint64_t seed);

/// Blobs of states that stages saved, by state.
using SavedStates = std::unordered_map<Digest, Digest>;

/// What whoever trains has to know of a stage. What it would compare with a state that is not to be
/// had, because the control's stage failed, is left out.
Assignment assignment(const Experiment& experiment, const Plan& plan, std::size_t stage,
                      const SavedStates& saved = {});

/// States whose checkpoints must not be replaced before the plan is carried out: what stages go on
/// from, and what they compare with.
std::vector<Digest> held_states(const Experiment& experiment, const Plan& plan);
/// Of these, what the stages that are not `over` will compare with.
std::vector<Digest> still_compared(const Plan& plan, const std::vector<bool>& over);

/// Says of a stage that was stopped under way which state it saved.
void name_states(const Experiment& experiment, const Stage& stage, Record& record);

/// Seconds that the plan takes with so many workers, from the median speed of what the store
/// holds. Nothing when there is work of a kind that the store has never seen.
std::optional<double> estimate(const Plan& plan, const Store& store, std::size_t workers);

}  // namespace perturb
