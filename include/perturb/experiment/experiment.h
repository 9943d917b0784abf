// An experiment as declared: its variations, interventions, metrics and plots, validated.
// Trials are made on demand from their two numbers, so that a grid of 100,000 costs nothing
// until somebody asks. Knows nothing of stores, of execution, or of LibTorch.
#pragma once

#include <cstddef>
#include <filesystem>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "perturb/core/diagnostic.h"
#include "perturb/experiment/calendar.h"
#include "perturb/experiment/condition.h"
#include "perturb/experiment/schema.h"
#include "perturb/experiment/timeline.h"

namespace perturb {

/// When a metric is measured.
struct Every {
  enum class Kind {
    Never,
    Epoch,   ///< at the end of every `n`-th epoch, and at the end of the run
    Steps,   ///< before steps n, 2n, ..., and at the end of the run
    Listed,  ///< at the listed steps; 0 is the state after initialisation
    End,     ///< at the end of the run
  };
  Kind kind = Kind::Epoch;
  std::int64_t n = 1;
  std::vector<Step> steps;
};

/// A metric as asked for. Its definition (kind, parameters, revision) is its identity; how
/// often it is taken is not.
struct MetricSpec {
  std::string kind;
  std::map<std::string, Value> parameters;
  std::string label;  ///< what results call it: "test.accuracy"
  Every every;
  std::int64_t revision = 1;

  Digest definition() const;
};

struct PlotSpec {
  std::string kind;
  std::map<std::string, Value> parameters;
  std::vector<std::string> average_over;
};

/// One trial, resolved.
struct Trial {
  std::size_t variation = 0;
  std::size_t alternative = 0;  ///< 0: the control; otherwise 1 + the intervention's number
  Condition condition;          ///< of the variation; an intervention does not change it
  std::vector<Operation> operations;
  Timeline timeline;
  Digest id;  ///< law 1

  /// What is in force at step 0: the variation's condition, or what an intervention sets of it
  /// for the whole run. Model, data and seeds come from here.
  const Condition& start() const { return timeline.stretches.front().condition; }
};

/// Columns of the trial in result tables: every field of its variation's condition, and what
/// its intervention sets, as "set.<path>" and "<kind>.<parameter>".
std::vector<std::pair<std::string, Value>> factors_of(const Trial& trial);

/// The operations as JSON, for the store and for people.
std::string to_json(const std::vector<Operation>& operations);

/// When to measure what in a trial, in step order.
struct Measurement {
  Step step = 0;
  double epoch = 0;
  Digest state;
  std::vector<std::size_t> metrics;  ///< indices into Assignment::metrics
};

/// Everything that a training half needs to carry a trial out; plain data.
struct Assignment {
  Trial trial;
  std::int64_t examples = 0;  ///< training examples, for the calendar
  Step end = 0;
  std::vector<MetricSpec> metrics;
  std::vector<Measurement> measurements;
};

class Experiment {
 public:
  /// Reads and validates; `schema` must outlive the experiment. Overrides are "path=value" or
  /// "path=a,b,c" as on the command line. Throws InvalidExperiment with everything that is wrong,
  /// or Error when there is no file.
  static Experiment load(const std::filesystem::path& file,
                         const std::vector<std::string>& overrides, const Schema& schema,
                         const DataLookup& data);
  static Experiment parse(Source source, const std::filesystem::path& folder,
                          const std::vector<std::string>& overrides, const Schema& schema,
                          const DataLookup& data);
  Experiment(Experiment&&) noexcept;
  Experiment& operator=(Experiment&&) noexcept;
  ~Experiment();

  const std::string& name() const;
  const std::string& description() const;
  /// The text of the file, for provenance.
  const std::string& source() const;
  const std::vector<MetricSpec>& metrics() const;
  const std::vector<PlotSpec>& plots() const;
  const std::vector<Diagnostic>& warnings() const;

  /// Paths that vary, in file order; and "set.<path>" or "<kind>.<parameter>" of interventions.
  const std::vector<std::string>& factors() const;

  std::size_t variations() const;
  /// Interventions a variation, each with all its levels; the control is not counted.
  std::size_t alternatives() const;
  std::size_t trials() const { return variations() * (1 + alternatives()); }

  /// The condition of a variation alone: what `trial` makes, at a fifth of the cost.
  Condition condition(std::size_t variation) const;
  Trial trial(std::size_t variation, std::size_t alternative) const;
  /// The number of trial (v, a) is v * (1 + alternatives()) + a: controls come first.
  Trial trial(std::size_t number) const {
    return trial(number / (1 + alternatives()), number % (1 + alternatives()));
  }
  /// How an intervention is called in tables: "optimizer.momentum x 1.1 in [0, 100)"; "control" for
  /// 0.
  std::string label(std::size_t alternative) const;
  /// The same without seeds: interventions of one group are replicates of each other.
  std::string group(std::size_t alternative) const;

  /// What is known of the trial's data set.
  const DataFacts& data(const Trial& trial) const;
  /// The step at which the trial ends. Needs the data set's size: 0 when it is unknown.
  Step end(const Trial& trial) const;
  /// When what is measured, without the states' digests, which cost a hash each.
  std::vector<Measurement> measurements(const Trial& trial) const;
  Assignment assignment(std::size_t number) const;

  /// Why this build cannot run the experiment although it is valid; empty when it can.
  const std::vector<Diagnostic>& unsupported() const;

 private:
  struct State;
  explicit Experiment(std::unique_ptr<State> state);
  std::unique_ptr<State> state_;
};

}  // namespace perturb
