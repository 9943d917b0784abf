// Files as the store and the data sets need them: bounded reads, writes that are there
// completely or not at all, and a lock that the kernel releases when its holder dies.
#pragma once

#include <cstddef>
#include <filesystem>
#include <optional>
#include <string>
#include <string_view>

namespace perturb {

/// The whole file. Throws Error(Disk), or Error(Usage) when it is larger than `limit` bytes:
/// nothing that a user names may make us allocate without bound.
std::string read_file(const std::filesystem::path& path, std::size_t limit);

/// The whole file, unpacked if it is gzip. `limit` bounds what comes out.
std::string read_maybe_gzip(const std::filesystem::path& path, std::size_t limit);

/// Writes beside `path`, syncs, renames and syncs the folder: after a crash there is either
/// the former file or the new one. Throws Error(Disk).
void write_atomically(const std::filesystem::path& path, std::string_view bytes);

/// Gives a finished file its name: syncs it, renames it and syncs the folder, so that after a
/// crash the name stands for the whole file or for what it stood for before. Throws Error(Disk).
void publish(const std::filesystem::path& finished, const std::filesystem::path& path);

/// Writes beside `path` and renames: other processes see the whole file or what stood there, but
/// a power cut may take away or empty a file that is new. One that stood there is replaced only by
/// bytes that are on the disk, for somebody may have synced it. Throws Error(Disk).
void write_unsynced(const std::filesystem::path& path, std::string_view bytes);

/// Makes what the file holds survive a power cut; its name is in its folder. Throws Error(Disk).
void sync_file(const std::filesystem::path& path);

/// Makes the names in the folder survive a power cut. Throws Error(Disk).
void sync_folder(const std::filesystem::path& folder);

/// An advisory lock (flock) on a file that is created if need be. Released by the
/// destructor, or by the kernel when the process ends in any way.
class FileLock {
 public:
  /// Nothing when somebody else holds it. Never blocks.
  static std::optional<FileLock> try_acquire(const std::filesystem::path& path);
  FileLock(FileLock&& other) noexcept;
  FileLock& operator=(FileLock&& other) noexcept;
  ~FileLock();

  /// Leaves a line for whoever finds the file locked (host, process, command).
  void describe(std::string_view holder);

 private:
  explicit FileLock(int descriptor) : descriptor_(descriptor) {}
  int descriptor_;
};

}  // namespace perturb
