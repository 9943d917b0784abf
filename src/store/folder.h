// The folder of a store: what lies in it, who may write to it, and how SQLite may use its disk.
#pragma once

#include <filesystem>
#include <optional>
#include <string>
#include <string_view>

#include "perturb/core/files.h"

namespace perturb {

std::filesystem::path database_in(const std::filesystem::path& folder);
/// See perturb/store/live.h.
inline constexpr std::string_view kLiveFile = "live.json";

/// Makes the folder if need be, with a .gitignore if it was made or empty: a folder that the
/// user shares with other things keeps what git thinks of it.
void prepare_folder(const std::filesystem::path& folder);

/// Keeps 1 MiB of the disk, unless it is kept already or little is left: what `give_up_reserve`
/// gives back is enough to write down that files may go. Failing is no error.
void make_reserve(const std::filesystem::path& folder);
void give_up_reserve(const std::filesystem::path& folder);

/// The right to write. Throws Error(Locked), which names the holder.
FileLock lock_folder(const std::filesystem::path& folder);

/// Throws Error(Store) where a log lies beside a missing database: it would be replayed into
/// whatever is created under that name.
void check_no_orphaned_log(const std::filesystem::path& database);

/// "wal", or "truncate" on a file system that several hosts may share: WAL needs memory that all
/// its readers and writers have in common.
std::string_view journal_mode_for(const std::filesystem::path& folder);
/// By the number that statfs gives for a type of file system.
bool may_be_shared(long file_system);

}  // namespace perturb
