#include "perturb/core/files.h"

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <fcntl.h>
#include <memory>
#include <new>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>
#include <utility>

#include <fmt/format.h>
#include <zlib.h>

#include "perturb/core/error.h"

namespace perturb {

namespace {

namespace fs = std::filesystem;

[[noreturn]] void fail(std::string_view action, const fs::path& path, int error) {
  std::string advice;
  switch (error) {
    case ENOENT:
      advice = "check the path";
      break;
    case EACCES:
    case EPERM:
      advice = "check who owns it and its permissions";
      break;
    case EROFS:
      advice = "its file system is mounted read-only";
      break;
    case ENOSPC:
    case EDQUOT:
      advice = "make room on the disk, then try again";
      break;
    default:
      break;
  }
  throw Error(ExitCode::Disk,
              fmt::format("cannot {} {}: {}", action, path.string(), std::strerror(error)), advice);
}

[[noreturn]] void fail_too_large(const fs::path& path, std::size_t limit) {
  throw Error(ExitCode::Usage, fmt::format("{} is larger than {} bytes", path.string(), limit),
              "check that this is the file that was meant");
}

/// An open file; closed on every way out.
class Descriptor {
 public:
  explicit Descriptor(int number) : number_(number) {}
  Descriptor(const Descriptor&) = delete;
  Descriptor& operator=(const Descriptor&) = delete;
  ~Descriptor() {
    if (number_ >= 0) ::close(number_);
  }
  int get() const { return number_; }
  int release() { return std::exchange(number_, -1); }
  bool close() { return ::close(release()) == 0; }

 private:
  int number_;
};

int open_retrying(const fs::path& path, int flags, mode_t mode = 0) {
  int descriptor = -1;
  do descriptor = ::open(path.c_str(), flags | O_CLOEXEC, mode);
  while (descriptor < 0 && errno == EINTR);
  return descriptor;
}

bool write_all(int descriptor, std::string_view bytes) {
  while (!bytes.empty()) {
    const ssize_t written = ::write(descriptor, bytes.data(), bytes.size());
    if (written < 0 && errno == EINTR) continue;
    if (written < 0) return false;
    bytes.remove_prefix(static_cast<std::size_t>(written));
  }
  return true;
}

/// A name beside `path` that no other writer, in this process or another, uses.
fs::path temporary_beside(const fs::path& path) {
  static std::atomic<unsigned> count{0};
  fs::path name = path;
  name += fmt::format(".tmp-{}-{}", ::getpid(), count.fetch_add(1));
  return name;
}

void write_new(const fs::path& path, std::string_view bytes) {
  Descriptor file(open_retrying(path, O_WRONLY | O_CREAT | O_EXCL, 0666));
  if (file.get() < 0 || !write_all(file.get(), bytes) || !file.close()) fail("write", path, errno);
}

/// Writes a file of a new name beside `path`, whole or not at all, and says which.
fs::path write_beside(const fs::path& path, std::string_view bytes) {
  while (true) {
    const fs::path temporary = temporary_beside(path);
    Descriptor file(open_retrying(temporary, O_WRONLY | O_CREAT | O_EXCL, 0666));
    // Left by a process that died, or of another host: numbers of processes are used again (in a
    // container it is 1 every time), so it is neither ours to overwrite nor to remove.
    if (file.get() < 0 && errno == EEXIST) continue;
    if (file.get() < 0) fail("write", path, errno);
    if (write_all(file.get(), bytes) && file.close()) return temporary;
    const int error = errno;
    ::unlink(temporary.c_str());
    fail("write", path, error);
  }
}

}  // namespace

std::string read_file(const fs::path& path, std::size_t limit) {
  const Descriptor file(open_retrying(path, O_RDONLY));
  if (file.get() < 0) fail("read", path, errno);
  struct stat status{};
  if (::fstat(file.get(), &status) != 0) fail("read", path, errno);
  const auto expected = static_cast<std::size_t>(status.st_size);
  if (S_ISREG(status.st_mode) && expected > limit) fail_too_large(path, limit);

  // The size is only a hint: /proc says 0, a pipe has none, and a file may grow meanwhile.
  constexpr std::size_t kPiece = 64 * 1024;
  std::string bytes;
  bytes.reserve(S_ISREG(status.st_mode) ? expected + 1 : 0);
  std::size_t size = 0;
  while (true) {
    if (bytes.size() == size) bytes.resize(std::max(bytes.capacity(), size + kPiece));
    const ssize_t got = ::read(file.get(), bytes.data() + size, bytes.size() - size);
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) fail("read", path, errno);
    size += static_cast<std::size_t>(got);
    if (size > limit) fail_too_large(path, limit);
    if (got == 0) break;
  }
  bytes.resize(size);
  return bytes;
}

std::string read_maybe_gzip(const fs::path& path, std::size_t limit) {
  const int descriptor = open_retrying(path, O_RDONLY);
  if (descriptor < 0) fail("read", path, errno);
  const std::unique_ptr<gzFile_s, int (*)(gzFile)> file(::gzdopen(descriptor, "rb"), ::gzclose);
  if (!file) {
    ::close(descriptor);
    throw std::bad_alloc();
  }
  constexpr unsigned kPiece = 1 << 18;
  ::gzbuffer(file.get(), kPiece);
  std::string bytes;
  std::size_t size = 0;
  while (true) {
    bytes.resize(size + kPiece);
    const int got = ::gzread(file.get(), bytes.data() + size, kPiece);
    // A stream that breaks off is no error of gzread's; gzerror knows.
    int state = Z_OK;
    ::gzerror(file.get(), &state);
    if (state == Z_ERRNO) fail("read", path, errno);
    if (got < 0 || (got == 0 && state != Z_OK && state != Z_STREAM_END)) {
      throw Error(ExitCode::Usage, path.string() + " is not a complete gzip file",
                  "it was damaged or only partly downloaded: fetch it again");
    }
    size += static_cast<std::size_t>(got);
    if (size > limit) fail_too_large(path, limit);
    if (got == 0) break;
  }
  bytes.resize(size);
  return bytes;
}

void write_atomically(const fs::path& path, std::string_view bytes) {
  const fs::path temporary = temporary_beside(path);
  try {
    write_new(temporary, bytes);
    publish(temporary, path);
  } catch (...) {
    ::unlink(temporary.c_str());
    throw;
  }
}

void publish(const fs::path& finished, const fs::path& path) {
  {
    const Descriptor file(open_retrying(finished, O_RDONLY));
    if (file.get() < 0 || ::fsync(file.get()) != 0) fail("write", path, errno);
  }
  if (::rename(finished.c_str(), path.c_str()) != 0) fail("write", path, errno);
  sync_folder(path.has_parent_path() ? path.parent_path() : fs::path("."));
}

void write_unsynced(const fs::path& path, std::string_view bytes) {
  const fs::path temporary = write_beside(path, bytes);
  // Where the name is free this costs no sync. Where it is taken, or where the file system cannot
  // tell (EINVAL), the bytes go to the disk first: otherwise a power cut could leave an empty file
  // in place of one that another writer has synced and refers to.
  if (::renameat2(AT_FDCWD, temporary.c_str(), AT_FDCWD, path.c_str(), RENAME_NOREPLACE) == 0)
    return;
  try {
    sync_file(temporary);
    if (::rename(temporary.c_str(), path.c_str()) != 0) fail("write", path, errno);
  } catch (...) {
    ::unlink(temporary.c_str());
    throw;
  }
}

void sync_file(const fs::path& path) {
  const Descriptor file(open_retrying(path, O_RDONLY));
  if (file.get() < 0 || ::fsync(file.get()) != 0) fail("sync", path, errno);
}

void sync_folder(const fs::path& folder) {
  const Descriptor descriptor(open_retrying(folder, O_RDONLY | O_DIRECTORY));
  if (descriptor.get() < 0) fail("sync", folder, errno);
  // Some network file systems cannot sync a folder, and say EINVAL.
  if (::fsync(descriptor.get()) != 0 && errno != EINVAL) fail("sync", folder, errno);
}

std::optional<FileLock> FileLock::try_acquire(const fs::path& path) {
  while (true) {
    Descriptor file(open_retrying(path, O_RDWR | O_CREAT, 0666));
    if (file.get() < 0) fail("lock", path, errno);
    if (::flock(file.get(), LOCK_EX | LOCK_NB) != 0) {
      if (errno == EINTR) continue;
      if (errno == EWOULDBLOCK) return std::nullopt;
      fail("lock", path, errno);
    }
    // Somebody may have removed the file between open and flock: a lock on a file without a
    // name keeps nobody out.
    struct stat held{};
    struct stat named{};
    if (::fstat(file.get(), &held) != 0) fail("lock", path, errno);
    if (::stat(path.c_str(), &named) == 0 && held.st_ino == named.st_ino &&
        held.st_dev == named.st_dev)
      return FileLock(file.release());
  }
}

FileLock::FileLock(FileLock&& other) noexcept : descriptor_(std::exchange(other.descriptor_, -1)) {}

FileLock& FileLock::operator=(FileLock&& other) noexcept {
  if (this != &other) {
    if (descriptor_ >= 0) ::close(descriptor_);
    descriptor_ = std::exchange(other.descriptor_, -1);
  }
  return *this;
}

FileLock::~FileLock() {
  // The file stays: removing it would let two processes lock two files of the same name.
  if (descriptor_ >= 0) ::close(descriptor_);
}

void FileLock::describe(std::string_view holder) {
  // A courtesy to whoever waits, not part of the lock: a full disk must not stop the holder.
  const std::string line = std::string(holder) + "\n";
  if (::ftruncate(descriptor_, 0) != 0) return;
  if (::pwrite(descriptor_, line.data(), line.size(), 0) < 0) return;
}

}  // namespace perturb
