// What an experiment knows: the declaration, and how trials are made of it (expansion.cpp) once it
// has been found to be right (validation.cpp).
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "experiment/fields.h"
#include "experiment/grid.h"
#include "experiment/link.h"
#include "experiment/reader.h"
#include "perturb/core/tensor_names.h"
#include "perturb/experiment/experiment.h"

namespace perturb {

/// A level applied to what the field has; integers stay integers, or there is no value.
std::optional<Value> applied(const Level& level, const Value& former);

struct Experiment::State {
  State(const Schema& schema_in, DataLookup lookup_in)
      : schema(&schema_in), fields(schema_in), identity(schema_in), lookup(std::move(lookup_in)) {}

  const Schema* schema;
  Fields fields;
  Identity identity;
  DataLookup lookup;
  Declaration declared;
  std::string source;
  std::vector<Diagnostic> warnings;
  std::vector<std::string> factors;
  std::size_t variations = 1;
  std::vector<OtherExperiment> others;
  std::map<std::string, std::unique_ptr<Link>> links;  // by the reference as `from` has it
  std::vector<std::size_t> first_of_entry;  // alternatives before each entry; last: all of them

  // Complete conditions by the kinds of their sections; values that vary are replaced in a copy.
  std::map<std::string, Condition> prototypes;
  bool one_data_set = false;  // no field of [data] but the batch size varies or is set
  mutable std::mutex facts_mutex;
  mutable std::map<std::string, DataFacts> facts;

  std::string kinds_of(const Point& choice) const;

  std::string kind_in(const Section& section, const Point& choice) const;

  /// Base fields that the kinds know, defaults for the rest. Paths without a value are added to
  /// `missing`.
  Condition prototype(const Point& choice, std::vector<std::string>& missing) const;

  Condition condition(const Point& point) const;

  /// The same without the digest of the file of weights.
  Condition as_said(const Point& point) const;

  // ---- weights from a file (weights.cpp)

  /// What has to be known of a file of weights before anything is trained.
  struct WeightsFacts {
    Digest digest;                     ///< of the content
    std::vector<NamedTensor> tensors;  ///< in the order of the file
    std::string wrong;                 ///< why they cannot be read; empty when they can
    std::string advice;                ///< what to do about that
  };
  const WeightsFacts& weights_facts(const std::string& file) const;

  /// A file of weights is in force through its content.
  void resolve_weights(Condition& condition) const;

  /// Whether files of weights are there and have what the models are made of, by name.
  void check_weights(Problems& problems) const;

  using Said = std::function<void(const Value&, const Place&)>;
  /// Every value of a field that the base, a variation or an intervention gives.
  void each_said(const std::string& path, const Said& said) const;

  void check_variation(const Point& point, Problems& problems) const;
  void check_set(const Entered& entered, Problems& problems) const;
  void check_fit(const Condition& condition, const Place& place, Problems& problems) const;

  std::pair<const Entered*, Point> alternative(std::size_t number) const;

  std::vector<Operation> operations(const Entered& entered, const Point& point,
                                    const Condition& condition) const;

  Operation operation(const Part& part, std::size_t number, const Point& point,
                      const Condition& condition) const;

  /// Where `set` changes a section's kind, the new kind's parameters that the condition lacks get
  /// their defaults; those of the former kind are no longer looked at by anybody.
  void complete_kinds(Operation& operation, const Condition& condition) const;

  static std::vector<Window> windows(const When& when, const Calendar* calendar);

  const DataFacts& data_facts(const Condition& condition) const;

  Step end(const Timeline& timeline) const;

  Trial trial(std::size_t variation, std::size_t number) const;

  /// Operations that draw toward another trial name it by its id, which is part of what they are.
  void draw(Trial& trial) const;

  /// What a trial begins with which has this in force at step 0. Matched by what the variation
  /// itself has: an intervention goes on from the same network as its control.
  std::optional<Beginning> beginning(const Condition& variation, const Condition& start) const;

  /// The networks that are the data of this condition; null where its data are others. None while
  /// something is wrong with the selection, which check_links says.
  std::shared_ptr<const std::vector<Predecessor>> networks(const Condition& start) const;

  /// A schedule that ends with the run is in force through the step at which that is.
  void resolve_horizon(Timeline& timeline) const;

  static constexpr std::string_view kTrial = "trial:";

  /// PATH=VALUE,... of "trial:PATH=VALUE,...".
  static std::vector<std::pair<std::string, std::string>> reference_values(const std::string& text);

  /// The variation whose control "control" or "trial:..." is for trials of a variation.
  std::optional<std::size_t> reference(const std::string& text, std::size_t variation) const;

  mutable std::map<std::string, WeightsFacts> weights;  // by file; guarded as facts are

  DataFacts facts_of(const Condition& condition) const;

  // ---- references to other experiments

  /// A selection of networks.
  struct Selected {
    std::unique_ptr<Link> link;
    std::shared_ptr<const std::vector<Predecessor>> networks;
  };
  mutable std::mutex selected_mutex;
  mutable std::map<std::string, Selected> selected;  // by the reference

  /// Of the networks that are the data of this condition; null where its data are others.
  const Selected* selected_by(const Condition& start) const;

  mutable std::mutex learnt_mutex;
  /// Networks that other experiments learn from, as these have them and as this one does.
  mutable std::map<std::shared_ptr<const std::vector<Predecessor>>,
                   std::shared_ptr<const std::vector<Predecessor>>>
      learnt;

  /// The networks that the state was learnt from, among the others of this experiment; null if it
  /// was from other examples.
  std::shared_ptr<const std::vector<Predecessor>> learnt_from(const Predecessor& state) const;

  /// Reads the experiments that are referred to.
  void open_links(const ExperimentLookup& read, Problems& problems);

  void open_link(const std::string& reference, const Place& place, const ExperimentLookup& read,
                 Problems& problems);

  /// The place of that file's experiment among the others; nothing where it cannot be read.
  std::optional<std::size_t> open_other(const std::filesystem::path& file, const Place& place,
                                        const ExperimentLookup& read, Problems& problems);

  /// Whether every experiment that this one needs can be told from the others by its name.
  void check_names(Problems& problems) const;

  /// Whether every trial that refers to a trial of another experiment finds it, and can begin with
  /// it.
  void check_links(Problems& problems) const;

  void check_link(const std::string& reference, const Place& place, const Condition& own,
                  Problems& problems) const;

  /// Whether the model of `own` can begin with what that trial has left, or generates.
  void check_fit(const Link& link, const Predecessor& from, const Place& place,
                 const Condition& own, Problems& problems) const;

  /// Whether networks that are data are there, and are of one kind.
  void check_networks(const Selected& chosen, const Place& place, Problems& problems) const;

  /// The same of what interventions set.
  void check_set_networks(const Entered& entered, const Condition& own, Problems& problems) const;

  // ---- validation of what only the whole experiment shows

  void validate(const std::shared_ptr<const Source>& file, Problems& problems);

  /// Conditions of variations from all over the grid.
  std::vector<Condition> sample() const;

  /// Whether the values of a section are right together, set ones included.
  void check_sections(Problems& problems) const;

  /// `places`: where each section's values were last spoken of.
  void check_sections(const Condition& condition, const std::map<std::string, Place>& places,
                      Problems& problems) const;

  /// Whether every task has what interventions and metrics need.
  void check_features(Problems& problems) const;

  /// Whether every pattern of names selects something of every model.
  void check_patterns(Problems& problems) const;

  using CheckPattern = std::function<void(const Parameter*, const Value&, const Place&)>;
  static void check_patterns(const Entered& entered, const CheckPattern& check);

  static const std::vector<std::string>& parts_of(const ModelParts& parts, Selects selects);

  static void check_pattern(const std::string& pattern, const std::vector<std::string>& names,
                            const Component& model, const Place& place, Problems& problems);

  /// What "trial:..." means for every variation.
  void check_references(Problems& problems) const;

  /// A state of the other trial is kept for every step, so there cannot be very many.
  static constexpr Step kMostDrawn = 1000;

  void check_drawn(const Entered& entered, Problems& problems) const;

  void check_reference(const std::string& text, const Place& place, Problems& problems) const;

  void find_factors();

  /// Points of the axes that choose kinds: every combination of kinds that occurs.
  Grid kind_grid() const;

  /// Makes the prototypes and checks that every varied or set key exists where it is used.
  void check_kinds(const std::shared_ptr<const Source>& file, Problems& problems);

  static bool same_keys(const Axis& a, const Axis& b);

  void say_missing(const std::string& path, const Condition& condition,
                   const std::shared_ptr<const Source>& file, Problems& problems) const;

  void check_known(const Setting& setting, const std::string& path, const Condition& condition,
                   Problems& problems) const;

  /// Keys that interventions set must exist under the kinds in force together with them.
  void check_sets(const Condition& prototype, Problems& problems) const;

  /// Every value within the range that its own kind gives it, relative levels included.
  void check_values(Problems& problems) const;

  /// All values that a field can have before an intervention.
  std::vector<Value> values_of(const std::string& path, const Condition& prototype) const;

  void check_value(const Setting& setting, const std::string& path, const Condition& condition,
                   const std::vector<const Value*>& formers, Problems& problems) const;

  /// False when nothing can be said because the data are not known.
  bool check_window(std::size_t alternative, std::size_t part, const Place& place,
                    std::size_t tried, Problems& problems) const;

  /// Windows that no run reaches. Whether one does may depend on the variation.
  void check_windows(Problems& problems);
};

}  // namespace perturb
