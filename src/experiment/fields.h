// The fields that a condition can have, and how a node of the file becomes a field's value.
#pragma once

#include <filesystem>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "experiment/document.h"
#include "experiment/problems.h"
#include "perturb/experiment/schema.h"

namespace perturb {

class Fields {
 public:
  explicit Fields(const Schema& schema);

  /// The parameter at a path, of whichever kind has it; "<section>.kind" is one too. Null when
  /// no kind of the section has it.
  const Parameter* find(std::string_view path) const;
  /// All paths, for suggestions.
  const std::vector<std::string>& paths() const { return paths_; }
  /// Kinds of the path's section that have it: "sgd, nadam".
  std::string kinds_with(std::string_view path) const;

  const Schema& schema() const { return *schema_; }

 private:
  const Schema* schema_;
  std::vector<std::string> paths_;
  std::vector<Parameter> parameters_;  // in the order of paths_
};

/// The node as a value of the parameter's type, within its range; otherwise says what is wrong.
/// `folder` is what relative file names start from.
std::optional<Value> coerce(const Node& node, const Parameter& parameter, const std::string& path,
                            const std::filesystem::path& folder, Problems& problems);

/// What is wrong with a value of the right type; empty if nothing.
std::string out_of_range(const Value& value, const Parameter& parameter);

/// What a section is of when nobody says; empty where it must be said (models, data).
std::string_view default_kind(Family family);

/// "a float", "a list of integers", ...: for messages.
std::string_view name_of(Type type);

}  // namespace perturb
