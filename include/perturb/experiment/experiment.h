// An experiment as declared: its variations, interventions, metrics and plots, validated.
// Trials are made on demand from their two numbers, so that a grid of 100,000 costs nothing
// until somebody asks. Knows nothing of stores, of execution, or of LibTorch.
#pragma once

#include <cstddef>
#include <filesystem>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "perturb/core/diagnostic.h"
#include "perturb/experiment/assignment.h"
#include "perturb/experiment/calendar.h"
#include "perturb/experiment/condition.h"
#include "perturb/experiment/schema.h"
#include "perturb/experiment/timeline.h"

namespace perturb {

/// [checkpoints]: when states are saved, and for how long.
struct CheckpointPolicy {
  enum class Keep {
    Needed,  ///< until the trial is done and whatever is compared with it was measured
    Last,    ///< the newest of every trial, so that more epochs go on from it
    All,
  };
  Every every;          ///< by default every epoch; the end of a run is saved, too, unless Never
  bool stated = false;  ///< whether the file says when; otherwise short epochs may be left out
  Keep keep = Keep::Last;
};

/// A picture that is asked for.
struct PlotSpec {
  std::string kind;
  std::map<std::string, Value> parameters;
  std::vector<std::string> average_over;  ///< factors whose levels are replicates, beside seeds
};

/// The text of an experiment file. Throws Error when there is none, InvalidExperiment when it is
/// too large.
Source read_experiment(const std::filesystem::path& file);

/// One entry of `plugins`: what the schema depends on, so what has to be known before the rest of
/// the text means anything.
struct NamedPlugin {
  std::string name;  ///< as written
  Place place;
};
/// The entries that are strings, in file order. Says nothing of what is wrong with a text: reading
/// the experiment does.
std::vector<NamedPlugin> plugins_of(const Source& source);

class Experiment;

/// Gives the experiment in a file that another one refers to. Throws InvalidExperiment with what is
/// wrong there, or Error when it cannot be had at all. See Ancestry.
using ExperimentLookup =
    std::function<std::shared_ptr<const Experiment>(const std::filesystem::path& file)>;

/// An experiment that another one goes on from.
struct OtherExperiment {
  std::filesystem::path file;
  std::shared_ptr<const Experiment> experiment;
};

class Experiment {
 public:
  /// Reads and validates; `schema` must outlive the experiment. Overrides are "path=value" or
  /// "path=a,b,c" as on the command line. Throws InvalidExperiment with everything that is wrong,
  /// or Error when there is no file. Without `others` it cannot refer to another experiment.
  static Experiment load(const std::filesystem::path& file,
                         const std::vector<std::string>& overrides, const Schema& schema,
                         const DataLookup& data, const ExperimentLookup& others = {});
  /// The same for a text that `read_experiment` read from `file`.
  static Experiment load(Source source, const std::filesystem::path& file,
                         const std::vector<std::string>& overrides, const Schema& schema,
                         const DataLookup& data, const ExperimentLookup& others = {});
  static Experiment parse(Source source, const std::filesystem::path& folder,
                          const std::vector<std::string>& overrides, const Schema& schema,
                          const DataLookup& data, const ExperimentLookup& others = {});
  Experiment(Experiment&&) noexcept;
  Experiment& operator=(Experiment&&) noexcept;
  ~Experiment();

  const std::string& name() const;
  const std::string& description() const;
  /// The text of the file, for provenance.
  const std::string& source() const;
  const std::vector<MetricSpec>& metrics() const;
  const std::vector<PlotSpec>& plots() const;
  /// A plot that the file does not have, from "name=value" as on the command line, `kind` among
  /// them. Throws InvalidExperiment, as the file's own would.
  PlotSpec plot(const std::vector<std::string>& settings) const;
  const CheckpointPolicy& checkpoints() const;
  const std::vector<Diagnostic>& warnings() const;

  /// The experiments that this one goes on from, each once, in the order in which they are named.
  const std::vector<OtherExperiment>& others() const;

  /// Paths that variations give values, in file order.
  std::vector<std::string> varied() const;
  /// The same; and "set.<path>" or "<kind>.<parameter>" of interventions.
  const std::vector<std::string>& factors() const;

  std::size_t variations() const;
  /// Interventions a variation, each with all its levels; the control is not counted.
  std::size_t alternatives() const;
  std::size_t trials() const { return variations() * (1 + alternatives()); }

  /// The condition of a variation alone: what `trial` makes, at a fifth of the cost.
  Condition condition(std::size_t variation) const;
  Trial trial(std::size_t variation, std::size_t alternative) const;
  std::size_t variation_of(std::size_t number) const { return number / (1 + alternatives()); }
  /// The number of trial (v, a) is v * (1 + alternatives()) + a: controls come first.
  Trial trial(std::size_t number) const {
    return trial(number / (1 + alternatives()), number % (1 + alternatives()));
  }
  /// A level as people read it: a reference to another experiment by that one's name.
  std::string shown(const Value& level) const;
  /// How an intervention is called in tables: "optimizer.momentum x 1.1 in [0, 100)"; "control" for
  /// 0.
  std::string label(std::size_t alternative) const;
  /// The same without seeds: interventions of one group are replicates of each other.
  std::string group(std::size_t alternative) const { return group(alternative, {}, false); }
  /// Without what is said of `factors`, too; and with seeds, if they are to be told apart.
  std::string group(std::size_t alternative, const std::vector<std::string>& factors,
                    bool seeds) const;

  /// What the trial begins with, and networks, as whoever trains needs them, but for the blobs.
  Ancestor ancestor(const Beginning& from) const;
  TrainedNetworks trained(const std::vector<Predecessor>& networks) const;

  /// What is known of the trial's data set.
  const DataFacts& data(const Trial& trial) const;
  /// The step at which the trial ends. Needs the data set's size: 0 when it is unknown.
  Step end(const Trial& trial) const;
  /// What the trial's identity has beside its condition and operations: the digest of the data,
  /// revisions and plugins of components, a schedule's horizon where the run's end decides it. By
  /// name.
  std::map<std::string, std::string> ingredients(const Trial& trial) const;
  /// Whether a field of the condition is part of the trial's identity.
  bool matters(const Trial& trial, std::string_view path) const;

  /// The variation whose control a metric compares trials of `variation` with, if it does.
  std::optional<std::size_t> reference(const MetricSpec& metric, std::size_t variation) const;
  /// When what is measured, without the states' digests. What would be compared with a state that
  /// the other trial never has is left out.
  std::vector<Measurement> measurements(const Trial& trial) const;
  /// The steps in (0, end] at which the policy saves the trial's state, in order.
  std::vector<Step> saves(const Trial& trial) const;
  /// The whole trial as one stage, nothing saved.
  Assignment assignment(std::size_t number) const;

  /// Why this build cannot run the experiment although it is valid; empty when it can.
  const std::vector<Diagnostic>& unsupported() const;

 private:
  struct State;
  explicit Experiment(std::unique_ptr<State> state);
  std::unique_ptr<State> state_;
};

}  // namespace perturb
