// A reference to an experiment that is not there.
#pragma once

#include <filesystem>
#include <string>

namespace perturb {

/// What to do about it: the nearest name in that folder, as it would be written, or what names are
/// relative to. `folder`: that of the file with the reference.
std::string advice_on_missing(const std::string& written, const std::filesystem::path& folder);

}  // namespace perturb
