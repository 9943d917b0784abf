// What an experiment file may say: the components there are, with their parameters. Pure
// description, no behaviour; the factories live in the training half under the same names.
// Validation, help, completion and documentation all read this and nothing else.
#pragma once

#include <cstdint>
#include <deque>
#include <filesystem>
#include <functional>
#include <limits>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "perturb/core/digest.h"
#include "perturb/core/value.h"
#include "perturb/experiment/condition.h"

namespace perturb {

enum class Type {
  Bool,
  Int,
  Float,    ///< integers are accepted and become floats, so that 1 and 1.0 are one value
  String,   ///< one of `choices` when there are any
  IntList,  ///< a list is ONE value; levels of it are written `each = [[...], [...]]`
  FloatList,
  StringList,
  File,       ///< a path, relative to the experiment file; identity takes the content's digest
  Selection,  ///< a table of condition keys and the values wanted, kept as canonical JSON
  /// { experiment = "x.toml", at = "end", select = {...} }, kept as canonical JSON; identity takes
  /// the states that are meant.
  Reference,
  /// Where in the runs of another experiment: "end", a step, or { epochs = n }, kept as text;
  /// identity takes the states that are meant.
  At,
};

/// Whether identity takes what the value stands for, instead of the value: the content of a file,
/// the states of other trials. What it is called and where it lies is no one's business.
constexpr bool is_resolved(Type type) {
  return type == Type::File || type == Type::Selection || type == Type::Reference ||
         type == Type::At;
}

/// Whether a table may be ONE value; levels of such values are written `each = [{...}, {...}]`.
constexpr bool is_table(Type type) {
  return type == Type::Selection || type == Type::Reference || type == Type::At;
}

/// What a name, or a pattern of names in which * stands for any characters, is to be found among.
enum class Selects {
  Nothing,
  Tensors,  ///< a pattern of a model's parameters: "conv1.weight"
  Points,   ///< a pattern of points of its forward pass: "act1"
  Units,    ///< a pattern of its hidden units, by the layer whose outputs they are: "fc1"
  Metric,   ///< the label of a metric that is measured; plots only, like the next two
  Metrics,  ///< a pattern of such labels
  Factor,   ///< something that varies: "optimizer.lr", "perturb-weights.epsilon"
};

struct Parameter {
  std::string name;  ///< within its section: "lr", not "optimizer.lr"
  Type type = Type::Float;
  std::optional<Value> fallback;  ///< the default; without one the user must say it
  std::string help;
  std::string unit;  ///< "steps", "epochs", "examples", "radians"; "" for a pure number or name
  double least = -std::numeric_limits<double>::infinity();
  double most = std::numeric_limits<double>::infinity();
  bool above_least = false;  ///< the lower bound itself is excluded
  bool below_most = false;   ///< the upper bound itself is excluded
  std::vector<std::string> choices;
  /// At this value the component does what it did before the parameter existed; the field
  /// is then left out of identity, so that adding the parameter orphaned no result.
  std::optional<Value> neutral;
  /// May be `set` while a run goes on; the others only for a whole run.
  bool live = false;
  /// Whether identity depends on it at all (run length and device are not part of it).
  bool identity = true;
  /// Strings and lists of them only. An empty one selects nothing.
  Selects selects = Selects::Nothing;
};

enum class Family {
  Task,
  Model,
  Data,
  Optimizer,
  Schedule,
  Train,
  Seeds,
  Intervention,
  Metric,
  Plot
};

/// When an intervention acts if the file does not say. What can act at init does so by default.
enum class Moment { Init, WholeRun };

/// What a task offers to interventions and metrics.
enum class Feature {
  Weights,      ///< parameters of models
  Gradients,    ///< of a loss, before the optimizer takes its step
  Activations,  ///< points in the forward pass of a training step
  Examples,     ///< a training set that batches are drawn from
  Labels,       ///< a class for every example
  Loss,         ///< that is a function of parameters and examples alone
  Predictions,  ///< of classes
  Samples,      ///< points that the model makes of noise
  Critic,       ///< a potential over such points, which training carries along
  Networks,     ///< that it generates, learning from trained ones
};
std::string_view name_of(Feature feature);

/// The named parts of a model.
struct ModelParts {
  std::vector<std::string> parameters;
  std::vector<std::string> points;
  std::vector<std::string> units;
};

/// What has to be known of a data set before anything is trained.
struct DataFacts {
  std::int64_t train = 0;  ///< examples in the training set; 0 when unknown
  std::int64_t test = 0;
  Digest digest;        ///< of the decoded content; zero for generated or built-in data
  std::string missing;  ///< why the data cannot be read and what to do; empty when they can
};

/// The plugin that brought a component. Its bytes are part of what the component is: nobody can
/// tell whether another build computes the same.
struct Origin {
  std::string file;  ///< absolute
  Digest digest;     ///< of the file
};

/// Which of two values of a metric one would rather have.
enum class Better { Neither, Higher, Lower };

struct Component {
  Family family = Family::Task;
  std::string name;  ///< as written after `kind =`; "" in sections that have no kinds
  std::string help;  ///< one sentence
  std::vector<Parameter> parameters;
  /// Goes up whenever the component computes something else than it did; part of identity.
  std::int64_t revision = 1;
  std::optional<Origin> plugin;  ///< set by whoever loads it; none: built in
  Moment moment = Moment::Init;  ///< interventions only
  std::vector<Feature> needs;    ///< of the task; interventions and metrics only
  std::vector<Feature> has;      ///< tasks only
  /// Models only: its parts under a condition. Without it patterns are not checked beforehand.
  std::function<ModelParts(const Condition&)> parts;
  /// Data sets of plugins only: counts and digest of what the factory makes of the same condition
  /// and folders.
  std::function<DataFacts(const Condition&, const std::vector<std::filesystem::path>& folders)>
      facts;
  /// Metrics only: the name of what is measured, with parameters in braces: "{on}.accuracy".
  std::string label;
  Better better = Better::Neither;  ///< metrics only
  /// What the parameters must satisfy together: empty, or what is wrong in one line.
  std::function<std::string(const std::map<std::string, Value>&)> check;
  /// What this build cannot carry out although it is well-formed: empty, or the reason.
  std::function<std::string(const std::map<std::string, Value>&)> unsupported;

  const Parameter* find(std::string_view parameter) const;
  /// What identity knows the component by, beside its name: its revision and its plugin.
  std::string version() const;
};

/// The sections of a condition in their order, each with the family that it draws from.
struct Section {
  std::string_view name;
  Family family;
  bool has_kind;
  std::string_view kind_path;  ///< "model.kind"; "" without kinds
};
const std::vector<Section>& sections();
std::string_view name_of(Family family);

class Schema {
 public:
  /// Names are unique within a family; a second one is a bug of whoever adds it.
  void add(Component component);

  const Component* find(Family family, std::string_view name) const;
  /// In the order in which they were added.
  std::vector<const Component*> all(Family family) const;
  std::vector<std::string> names(Family family) const;

  /// The description of one field ("optimizer.lr") of `condition`; null when its kind has none.
  const Parameter* parameter(const Condition& condition, std::string_view path) const;

 private:
  // A component stays where it is when others come: an experiment may be under way that has some.
  std::map<Family, std::deque<Component>> components_;
};

/// Answers for the `data.*` fields of a condition. Called once for each distinct data set. Where
/// the data are networks of another experiment, "data.networks" is how many, and the digest is not
/// asked for: who they are the experiment knows.
using DataLookup = std::function<DataFacts(const Condition&)>;

}  // namespace perturb
