// The catalog as text: for `list`, `describe`, and the generated parts of the documentation.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "perturb/experiment/schema.h"

namespace perturb {

/// All families, in the order of documentation.
const std::vector<Family>& families();
/// "model", "models", "Model": nothing if it is no family.
std::optional<Family> family_from(std::string_view name);
/// How the component is written in a file: kind = "sgd" under [optimizer].
std::string written_as(const Component& component);

/// "float, 0 < x <= 1", "one of a, b", "integer, in steps".
std::string type_text(const Parameter& parameter);
/// The default as written in a file; "needed" when there is none.
std::string default_text(const Parameter& parameter);

/// One component with its parameters, for a terminal of `width` columns (0: any).
std::string describe(const Component& component, bool color, std::size_t width);
/// A family as a section of docs/experiment-file.md.
std::string markdown(const Schema& schema, Family family);
std::string to_json(const Component& component);

}  // namespace perturb
