// For names of files that were typed wrong, as `nearest` (diagnostic.h) is for other names.
#pragma once

#include <filesystem>
#include <string_view>

namespace perturb {

/// The regular file with this extension (".toml") in the folder of `file` whose name is nearest to
/// that of `file`, in the same folder as `file` says it; empty where none is near, or the folder
/// cannot be read. A name without the extension is near to the one with it.
std::filesystem::path nearest_file(const std::filesystem::path& file, std::string_view extension);

}  // namespace perturb
