// A trial, and the stage of it that a training half is asked to carry out. Where trials come from
// (experiment.h) and which stages there are (plan) is nothing that whoever trains needs to know.
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "perturb/core/digest.h"
#include "perturb/core/value.h"
#include "perturb/experiment/condition.h"
#include "perturb/experiment/schema.h"
#include "perturb/experiment/timeline.h"

namespace perturb {

/// When a metric is measured, or a checkpoint made.
struct Every {
  enum class Kind {
    Never,
    Epoch,   ///< at the end of every `n`-th epoch, and at the end of the run
    Steps,   ///< before steps n, 2n, ..., and at the end of the run
    Log,     ///< before steps 1, n, n^2, ..., and at the end of the run; the same for any length
    Listed,  ///< at the listed steps; 0 is the state after initialisation
    End,     ///< at the end of the run
  };
  Kind kind = Kind::Epoch;
  std::int64_t n = 1;
  std::vector<Step> steps;
};

/// A metric as asked for. Its definition (kind, parameters, revision, plugin) is its identity; how
/// often it is taken is not.
struct MetricSpec {
  std::string kind;
  std::map<std::string, Value> parameters;
  std::string label;  ///< what results call it: "test.accuracy"
  Every every;
  std::int64_t revision = 1;
  std::string plugin;  ///< digest, in hexadecimal, of the one that brought its kind; "": built in
  /// Parameters at their neutral values, which are no part of the definition.
  std::vector<std::string> neutral;
  Better better = Better::Neither;  ///< for whoever looks at results; no part of the definition

  Digest definition() const;
  /// Whether it compares with the state of another trial.
  bool relative() const;
};

/// A state of another experiment's control that a trial begins with, or that is one of its
/// examples: parameters and buffers, not what the optimizer remembers.
struct Predecessor {
  std::size_t other = 0;  ///< which experiment, in Experiment::others()
  std::size_t trial = 0;  ///< its number there
  Step step = 0;
  Digest state;
};

/// What a trial's network begins with, where initialisation is not what makes it: that state, or a
/// network that whoever has the state has learnt to generate.
struct Beginning : Predecessor {
  std::optional<std::int64_t> generated;  ///< the network's number
  /// The networks that generating was learnt from; null unless one is generated.
  std::shared_ptr<const std::vector<Predecessor>> learnt_from;

  /// What the trial's own identity takes.
  Digest identity() const;
};

/// One trial, resolved.
struct Trial {
  std::size_t variation = 0;
  std::size_t alternative = 0;  ///< 0: the control; otherwise 1 + the intervention's number
  Condition condition;          ///< of the variation; an intervention does not change it
  std::vector<Operation> operations;
  /// The variation whose control an intervention draws this trial toward, if one does.
  std::optional<std::size_t> toward;
  /// Whose state it begins with, where initialisation is not what makes its network.
  std::optional<Beginning> from;
  /// The networks that its examples are, in order; null where its data are others.
  std::shared_ptr<const std::vector<Predecessor>> networks;
  Timeline timeline;
  Past past;  ///< of the timeline, for identities
  Digest id;  ///< law 1

  /// The state before a step. Costs a hash.
  Digest state(Step at) const { return state_digest(timeline, past, at); }
  /// States of other experiments that there have to be before step 0: what it begins with, what
  /// that learnt from if it generates, then its examples.
  std::vector<Predecessor> inherited() const;
  /// The steps in [begin, end) in which an intervention draws toward another trial.
  std::vector<Step> drawn(Step begin, Step end) const;

  /// What is in force at step 0: the variation's condition, or what an intervention sets of it
  /// for the whole run. Model, data and seeds come from here.
  const Condition& start() const { return timeline.stretches.front().condition; }
};

/// Columns of the trial in result tables: every field of its variation's condition, and what
/// its intervention sets, as "set.<path>" and "<kind>.<parameter>".
std::vector<std::pair<std::string, Value>> factors_of(const Trial& trial);

/// The operations as JSON, for the store and for people.
std::string to_json(const std::vector<Operation>& operations);

/// The trained networks of another experiment that a trial's examples are.
struct TrainedNetworks {
  struct Network {
    Digest state;
    std::optional<Digest> blob;  ///< with that state
  };
  Condition start;  ///< of the first one's trial: what makes its model and reads its data
  std::vector<Network> networks;
};

/// What a trial begins with, as whoever trains it needs it.
struct Ancestor {
  Step step = 0;
  Digest state;
  std::optional<Digest> blob;             ///< with that state
  Condition start;                        ///< what is in force at step 0 of the trial that has it
  std::optional<std::int64_t> generated;  ///< the network of that number instead of the state
  TrainedNetworks learnt_from;  ///< of the trial that has the state; none unless generated
};

/// A state of another trial that this trial is compared with, after as many examples.
struct Reference {
  Step step = 0;
  Digest state;
  std::optional<Digest> blob;  ///< with that state; none: it is the very state that is compared
  Condition start;             ///< what is in force at step 0 of that trial, which makes its model
  std::optional<Ancestor> from;  ///< what that trial itself began with, if so
};

/// When to measure what, in step order. What is compared with a state of another trial is a
/// measurement by itself.
struct Measurement {
  Step step = 0;
  double epoch = 0;
  Digest state;
  std::vector<std::size_t> metrics;  ///< indices into Assignment::metrics
  std::optional<Reference> reference;
};

/// A state to be saved as a checkpoint.
struct Save {
  Step step = 0;
  double epoch = 0;
  Digest state;
  /// May be left out soon after another one: to train so little again costs less than to save.
  bool spare = false;
};

/// Everything that a training half needs to carry out a stage of a trial: the steps from `begin`
/// to `end`, which may be none. Plain data, so that it can go to another process.
struct Assignment {
  Trial trial;                ///< one that passes through the stage; all others agree until its end
  std::int64_t examples = 0;  ///< training examples, for the calendar
  Step begin = 0;
  Step end = 0;
  /// The state before step `begin`: what a checkpoint or an earlier stage left. Not asked for at
  /// step 0, which is initialisation's.
  Digest start;
  std::optional<Digest> checkpoint;  ///< the blob with that state; none: it is still in memory
  Digest last;                       ///< the state before step `end`
  std::optional<Ancestor> from;      ///< what the network at step 0 begins with
  std::optional<TrainedNetworks> population;  ///< that the examples are, if they are networks
  /// Why the stage cannot be carried out, whoever tried; empty when it can.
  std::string refused;
  /// How many stages go on from the end. The state is kept in memory for them if it can be, and
  /// saved otherwise.
  std::size_t heirs = 0;
  std::vector<MetricSpec> metrics;
  std::vector<Measurement> measurements;
  std::vector<Save> saves;  ///< in step order
  /// States of another trial that an intervention draws toward, with the step that it does it in.
  std::map<Step, Reference> drawn;
};

/// The assignment as JSON, for another process; and back. Throws Error(Usage) for other texts.
std::string to_json(const Assignment& assignment);
Assignment assignment_from_json(std::string_view text);

}  // namespace perturb
