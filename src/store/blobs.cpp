#include "perturb/store/blobs.h"

#include <algorithm>
#include <set>
#include <system_error>
#include <utility>

#include <fmt/format.h>

#include "perturb/core/error.h"
#include "perturb/core/files.h"

namespace perturb {

namespace {

namespace fs = std::filesystem;

[[noreturn]] void fail(std::string_view action, const fs::path& path,
                       const std::error_code& error) {
  throw Error(ExitCode::Disk,
              fmt::format("cannot {} {}: {}", action, path.string(), error.message()),
              "check the disk and its permissions");
}

[[noreturn]] void fail_damaged(const Digest& blob, const std::string& what) {
  throw Error(ExitCode::Store, fmt::format("the blob {} {}", blob.brief(), what),
              "what it held has to be made again");
}

/// Makes one of our folders below one that is there. Somebody else's link in its place would take
/// what we write out of the store.
void make_folder(const fs::path& folder) {
  std::error_code made;
  fs::create_directory(folder, made);
  std::error_code looked;
  const fs::file_type found = fs::symlink_status(folder, looked).type();
  if (found == fs::file_type::directory) return;
  if (found == fs::file_type::not_found || found == fs::file_type::none)
    fail("make the folder", folder, made);
  throw Error(ExitCode::Store, folder.string() + " is not a folder", "move it away");
}

std::vector<fs::directory_entry> entries_of(const fs::path& folder) {
  std::vector<fs::directory_entry> entries;
  std::error_code error;
  fs::directory_iterator next(folder, error);
  while (!error && next != fs::directory_iterator()) {
    entries.push_back(*next);
    next.increment(error);
  }
  if (error && error != std::errc::no_such_file_or_directory) fail("list", folder, error);
  std::sort(entries.begin(), entries.end());
  return entries;
}

/// Of the entry itself, not of what a link leads to.
fs::file_type type_of(const fs::directory_entry& entry) {
  std::error_code error;
  return entry.symlink_status(error).type();
}

bool is_prefix(const std::string& name) {
  return name.size() == 2 && name.find_first_not_of("0123456789abcdef") == name.npos;
}

}  // namespace

Blobs::Blobs(fs::path store_folder) : folder_(std::move(store_folder) / "blobs") {}

fs::path Blobs::path(const Digest& blob) const {
  const std::string name = blob.hex();
  return folder_ / name.substr(0, 2) / name;
}

Digest Blobs::put(std::string_view bytes) const {
  const Digest blob = sha256(bytes);
  const fs::path target = path(blob);
  std::error_code error;
  fs::create_directories(folder_.parent_path(), error);
  if (error) fail("make the folder", folder_.parent_path(), error);
  make_folder(folder_);
  make_folder(target.parent_path());
  write_unsynced(target, bytes);
  return blob;
}

void Blobs::sync(const std::vector<Digest>& blobs) const {
  std::set<fs::path> folders;
  for (const Digest& blob : blobs) {
    // Also not through a link, and not waiting at a pipe.
    if (!size(blob)) {
      fail("sync", path(blob), std::make_error_code(std::errc::no_such_file_or_directory));
    }
    sync_file(path(blob));
    folders.insert(path(blob).parent_path());
  }
  for (const fs::path& folder : folders) sync_folder(folder);
  if (folders.empty()) return;
  // The names of those folders, and that of their folder: a first blob made them all. The store's
  // own name is not ours: if it is lost, so is the row that refers to us.
  sync_folder(folder_);
  sync_folder(folder_.parent_path());
}

std::string Blobs::get(const Digest& blob, std::size_t limit) const {
  // Before it is opened: a pipe would keep us waiting.
  if (!size(blob)) fail_damaged(blob, "is missing");
  std::string bytes;
  try {
    bytes = read_file(path(blob), limit);
  } catch (const Error& error) {
    if (error.code() == ExitCode::Usage)
      fail_damaged(blob, fmt::format("is larger than {} bytes", limit));
    if (!size(blob)) fail_damaged(blob, "is missing");  // removed between the two looks
    throw;
  }
  if (sha256(bytes) != blob) fail_damaged(blob, "is damaged: its bytes are not those of its name");
  return bytes;
}

std::optional<std::uintmax_t> Blobs::size(const Digest& blob) const {
  std::error_code error;
  const fs::path file = path(blob);
  if (fs::symlink_status(file, error).type() != fs::file_type::regular) return std::nullopt;
  const std::uintmax_t bytes = fs::file_size(file, error);
  if (error) return std::nullopt;
  return bytes;
}

void Blobs::remove(const Digest& blob) const {
  std::error_code error;
  fs::remove(path(blob), error);
  if (error) fail("remove", path(blob), error);
}

Blobs::Listing Blobs::list() const {
  Listing listing;
  for (const fs::directory_entry& folder : entries_of(folder_)) {
    const std::string prefix = folder.path().filename().string();
    if (!is_prefix(prefix) || type_of(folder) != fs::file_type::directory) {
      listing.leftovers.push_back(folder.path());
      continue;
    }
    for (const fs::directory_entry& file : entries_of(folder.path())) {
      const std::string name = file.path().filename().string();
      const auto blob = Digest::from_hex(name);
      const fs::file_type type = type_of(file);
      if (type == fs::file_type::not_found) continue;  // removed, or renamed, meanwhile
      // Only the name that `path` gives: capitals or another prefix would never be found again.
      if (blob && path(*blob) == file.path() && type == fs::file_type::regular) {
        listing.blobs.push_back(*blob);
      } else {
        listing.leftovers.push_back(file.path());
      }
    }
  }
  return listing;
}

}  // namespace perturb
