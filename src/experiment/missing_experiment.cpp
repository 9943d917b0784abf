#include "experiment/missing_experiment.h"

#include <fmt/format.h>

#include "perturb/core/nearest_file.h"

namespace perturb {

std::string advice_on_missing(const std::string& written, const std::filesystem::path& folder) {
  const auto near = nearest_file(folder / written, ".toml");
  if (near.empty()) return "the name is relative to the folder of this file";
  const auto as_written = std::filesystem::path(written).parent_path() / near.filename();
  return fmt::format("did you mean \"{}\"?", as_written.string());
}

}  // namespace perturb
