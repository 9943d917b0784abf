#include "store/folder.h"

#include <algorithm>
#include <array>
#include <chrono>
#include <cstdint>
#include <random>
#include <sys/vfs.h>
#include <system_error>
#include <unistd.h>

#include <fmt/chrono.h>
#include <fmt/format.h>

#include "perturb/core/error.h"
#include "store/host.h"

namespace perturb {

namespace {

namespace fs = std::filesystem;

std::string command_line() {
  constexpr std::size_t kEnough = 200;
  std::string command;
  try {
    command = read_file("/proc/self/cmdline", 1 << 20);
  } catch (const Error&) {
    return "?";  // no /proc, or arguments beyond reason
  }
  while (!command.empty() && command.back() == '\0') command.pop_back();
  for (char& c : command) {
    if (static_cast<unsigned char>(c) < 0x20 || c == 0x7F) c = ' ';
  }
  return command.size() > kEnough ? command.substr(0, kEnough) + " ..." : command;
}

std::string holder(const fs::path& lock) {
  std::string line;
  try {
    line = read_file(lock, 4096);
  } catch (const Error&) {
    // Then nothing is known about it.
  }
  line.erase(std::min(line.find_first_of("\r\n"), line.size()));
  return line.empty() ? "another process" : line;
}

constexpr std::uintmax_t kReserve = 1 << 20;
constexpr std::string_view kReserveSays =
    "perturb keeps this room on the disk, so that `perturb gc --apply` works when it is full.\n";

fs::path reserve_in(const fs::path& folder) { return folder / "reserve"; }

/// Also one that a power cut has emptied. A folder that is shared with other things may have
/// somebody else's file of that name.
bool is_reserve(const fs::path& file) {
  std::error_code error;
  if (fs::symlink_status(file, error).type() != fs::file_type::regular) return false;
  if (const auto size = fs::file_size(file, error); error || size > kReserve) return false;
  try {
    const std::string bytes = read_file(file, kReserve);
    return bytes.empty() || bytes.starts_with(kReserveSays);
  } catch (const Error&) {
    return false;
  }
}

}  // namespace

fs::path database_in(const fs::path& folder) { return folder / "results.db"; }

void prepare_folder(const fs::path& folder) {
  std::error_code error;
  fs::create_directories(folder, error);
  if (error) {
    throw Error(ExitCode::Disk,
                fmt::format("cannot make the folder {}: {}", folder.string(), error.message()),
                "check its permissions, or name another folder with --store");
  }
  const bool empty = fs::is_empty(folder, error);
  if (!error && empty) write_atomically(folder / ".gitignore", "*\n");
}

void make_reserve(const fs::path& folder) {
  constexpr std::uintmax_t kPlenty = 16 * kReserve;
  std::error_code error;
  const fs::path file = reserve_in(folder);
  const bool taken = fs::exists(fs::symlink_status(file, error));
  if (taken && (fs::file_size(file, error) == kReserve || !is_reserve(file))) return;
  const fs::space_info space = fs::space(folder, error);
  if (error || space.available < kPlenty) return;
  // Noise: of zeros, a disk that compresses would keep nothing.
  std::string bytes(kReserveSays);
  std::mt19937_64 noise;  // the same every time, and nobody reads it
  while (bytes.size() < kReserve) {
    const std::uint64_t word = noise();
    bytes.append(reinterpret_cast<const char*>(&word), sizeof word);
  }
  bytes.resize(kReserve);
  try {
    write_unsynced(file, bytes);
  } catch (const Error&) {
    // Then there is none.
  }
}

void give_up_reserve(const fs::path& folder) {
  std::error_code ignored;
  if (is_reserve(reserve_in(folder))) fs::remove(reserve_in(folder), ignored);
}

FileLock lock_folder(const fs::path& folder) {
  const fs::path path = folder / "lock";
  std::optional<FileLock> lock = FileLock::try_acquire(path);
  if (!lock) {
    throw Error(ExitCode::Locked,
                fmt::format("the store {} is in use by {}", folder.string(), holder(path)),
                "wait until it has ended; reading (status, show, query) works meanwhile");
  }
  const auto now =
      std::chrono::time_point_cast<std::chrono::seconds>(std::chrono::system_clock::now());
  lock->describe(fmt::format("process {} on {} since {:%Y-%m-%dT%H:%M:%SZ}: {}", ::getpid(),
                             host_name(), fmt::gmtime(now), command_line()));
  return std::move(*lock);
}

void check_no_orphaned_log(const fs::path& database) {
  for (const char* suffix : {"-wal", "-journal"}) {
    fs::path log = database;
    log += suffix;
    std::error_code error;
    const auto size = fs::file_size(log, error);
    if (error || size == 0) continue;
    throw Error(ExitCode::Store,
                fmt::format("{} is missing, but its log {} is there", database.string(),
                            log.filename().string()),
                "put results.db back beside it, or move the whole folder away");
  }
}

std::string_view journal_mode_for(const fs::path& folder) {
  struct statfs status{};
  if (::statfs(folder.c_str(), &status) != 0) return "wal";
  return may_be_shared(static_cast<long>(status.f_type)) ? "truncate" : "wal";
}

bool may_be_shared(long file_system) {
  constexpr std::array<long, 15> kShared = {
      0x6969,      // NFS
      0x517B,      // SMB
      0xFF534D42,  // CIFS
      0xFE534D42,  // SMB2
      0x0BD00BD0,  // Lustre
      0x47504653,  // GPFS
      0x19830326,  // BeeGFS
      0xAAD7AAEA,  // PanFS
      0x00C36400,  // Ceph
      0x5346414F,  // OpenAFS
      0x6B414653,  // AFS
      0x01161970,  // GFS2
      0x7461636F,  // OCFS2
      0x01021997,  // 9P: folders of a host seen from its virtual machine
      0x65735546,  // FUSE: sshfs, buckets, and some that are not shared
  };
  return std::find(kShared.begin(), kShared.end(), file_system) != kShared.end();
}

}  // namespace perturb
