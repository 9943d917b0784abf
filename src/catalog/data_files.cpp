#include "perturb/catalog/data_files.h"

#include <algorithm>
#include <cassert>
#include <cstdlib>
#include <optional>
#include <sstream>

#include "perturb/catalog/formats.h"
#include "perturb/core/error.h"
#include "perturb/core/files.h"

namespace perturb {
namespace {

namespace fs = std::filesystem;

/// Where Debian's dataset packages put their files.
constexpr const char* kSystemFolder = "/usr/share/datasets";

fs::path home_folder(const char* variable, const char* below_home) {
  // Relative paths in these variables are to be ignored (XDG Base Directory Specification).
  if (const char* base = std::getenv(variable); base && *base == '/') {
    return fs::path(base) / "perturb";
  }
  const char* home = std::getenv("HOME");
  if (!home || *home != '/') return {};
  return fs::path(home) / below_home / "perturb";
}

/// The file as it is or packed; nothing if it is there in neither form.
std::optional<fs::path> find_file(const fs::path& folder, std::string_view name) {
  for (const char* suffix : {"", ".gz"}) {
    const fs::path path = folder / (std::string(name) + suffix);
    std::error_code error;
    if (fs::is_regular_file(path, error)) return path;
  }
  return std::nullopt;
}

std::vector<fs::path> files_in(const fs::path& folder, const DataSource& source) {
  std::vector<fs::path> found;
  for (const auto& file : source.files) {
    if (const auto path = find_file(folder, file.name)) found.push_back(*path);
  }
  return found;
}

/// Whether the folder's own name says which data set it holds.
bool named_after(const fs::path& folder, const DataSource& source) {
  return std::any_of(source.folders.begin(), source.folders.end(), [&](std::string_view name) {
    const fs::path tail(name);
    auto part = folder.end();
    for (auto wanted = tail.end(); wanted != tail.begin();) {
      if (part == folder.begin() || *--part != *--wanted) return false;
    }
    return true;
  });
}

/// Whether these are the official files of `source`, by the smallest of them.
bool has_content_of(const DataSource& source, const std::vector<fs::path>& files) {
  const auto smallest =
      std::min_element(source.files.begin(), source.files.end(),
                       [](const DataFile& a, const DataFile& b) { return a.bytes < b.bytes; });
  const auto place = static_cast<std::size_t>(smallest - source.files.begin());
  try {
    return sha256(read_maybe_gzip(files[place], smallest->bytes)).hex() == smallest->sha256;
  } catch (const Error&) {
    return false;
  }
}

/// Adds what is wrong with an almost complete folder; the first one found is the likeliest.
void remark(Located& located, const std::string& text) {
  if (located.remark.empty()) located.remark = text;
}

/// True when `folder` holds all files. `told` says that its name leaves no doubt whose.
bool take(const fs::path& folder, bool told, const DataSource& source, Located& located) {
  auto files = files_in(folder, source);
  if (files.empty()) return false;
  const bool complete = files.size() == source.files.size();
  if (!told && (!complete || !has_content_of(source, files))) {
    remark(located, folder.string() + " has files of these names, but they are not " +
                        std::string(source.kind) +
                        "'s; put other data in the same form into a "
                        "subfolder " +
                        std::string(source.folders.front()));
    return false;
  }
  if (!complete) {
    remark(located, folder.string() + " has only " + std::to_string(files.size()) + " of the " +
                        std::to_string(source.files.size()) + " files");
    return false;
  }
  located.files = std::move(files);
  located.complete = true;
  return true;
}

}  // namespace

fs::path user_data_folder() { return home_folder("XDG_DATA_HOME", ".local/share"); }
fs::path user_cache_folder() { return home_folder("XDG_CACHE_HOME", ".cache"); }

std::vector<fs::path> data_folders(const DataOptions& options) {
  std::vector<fs::path> wanted = options.folders;
  if (const char* listed = std::getenv("PERTURB_DATA")) {
    std::istringstream parts(listed);
    for (std::string part; std::getline(parts, part, ':');) wanted.emplace_back(part);
  }
  wanted.push_back(options.beside / "data");
  wanted.emplace_back("data");
  wanted.push_back(user_data_folder());
  wanted.emplace_back(kSystemFolder);

  std::vector<fs::path> folders;
  for (const auto& folder : wanted) {
    if (folder.empty()) continue;
    std::error_code error;
    fs::path path = fs::absolute(folder, error).lexically_normal();
    if (error) continue;
    if (!path.has_filename() && path.has_relative_path()) path = path.parent_path();
    if (std::find(folders.begin(), folders.end(), path) == folders.end()) folders.push_back(path);
  }
  return folders;
}

Located locate(std::string_view kind, const std::vector<fs::path>& folders) {
  const DataSource* source = find_source(kind);
  assert(source);
  Located located;
  located.looked_in = folders;
  for (const auto& folder : folders) {
    for (const auto& name : source->folders) {
      if (take(folder / name, true, *source, located)) return located;
    }
    const bool told = source->own_names || named_after(folder, *source);
    if (take(folder, told, *source, located)) return located;
  }
  return located;
}

std::string how_to_get(std::string_view kind, const Located& located) {
  const DataSource* source = find_source(kind);
  assert(source);
  std::string text = std::string(kind) + " was not found";
  for (std::size_t i = 0; i < located.looked_in.size(); ++i) {
    text += (i == 0 ? " in " : ", ") + located.looked_in[i].string();
  }
  if (!located.remark.empty()) text += " (" + located.remark + ")";
  text += ": run `perturb data fetch " + std::string(kind) + "`";
  if (!source->package.empty()) text += " or `apt install " + std::string(source->package) + "`";
  return text + ", or name its folder with --data";
}

std::int64_t inspect(const DataFile& file, std::string_view bytes) {
  constexpr int kClasses = 10;  // of each data set that comes in files so far
  if (file.name.ends_with(".bin")) return cifar10_records(bytes);
  const Idx idx = read_idx(bytes);
  if (file.name.find("images") != std::string_view::npos) {
    check_images(idx);
  } else {
    check_labels(idx, kClasses);
  }
  return idx.dims[0];
}

}  // namespace perturb
