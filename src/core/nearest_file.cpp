#include "perturb/core/nearest_file.h"

#include <algorithm>
#include <string>
#include <system_error>
#include <vector>

#include "perturb/core/diagnostic.h"

namespace perturb {

namespace fs = std::filesystem;

fs::path nearest_file(const fs::path& file, std::string_view extension) {
  const fs::path folder = file.has_parent_path() ? file.parent_path() : fs::path(".");
  std::vector<std::string> stems;
  std::error_code error;
  // A folder that cannot be read any further has what was read of it.
  for (fs::directory_iterator at(folder, error), end; !error && at != end; at.increment(error)) {
    std::error_code ignored;
    if (at->path().extension() == extension && at->is_regular_file(ignored))
      stems.push_back(at->path().stem().string());
  }
  // Of two that are equally near the same one on every file system.
  std::ranges::sort(stems);
  const auto written = file.extension() == extension ? file.stem() : file.filename();
  const std::string near = nearest(written.string(), stems);
  if (near.empty()) return {};
  return file.parent_path() / (near + std::string(extension));
}

}  // namespace perturb
