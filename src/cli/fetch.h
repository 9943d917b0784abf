// Gets the official files of a data set from the web and puts them in place when they have
// been checked, never before. libcurl is loaded only here: linking it costs every start of
// the program more than all else together.
#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <string>
#include <vector>

#include "perturb/catalog/data_files.h"

namespace perturb {

/// Told of progress from time to time: the file, bytes so far, bytes in all (0: unknown). At
/// the end both are equal, or both 0 if the transfer failed.
using Meter = std::function<void(const std::string& name, std::int64_t got, std::int64_t all)>;

struct FetchOptions {
  std::filesystem::path folder;  ///< where the files go; made if need be
  /// Folders on the web to try in order: http, https or file; the source's own if empty.
  std::vector<std::string> addresses;
  Meter meter;
};

/// Blocks until all files are in place, and returns them. Files that are there with the
/// right content are kept. Throws Error: Usage when there are files with other content, Disk
/// when nothing can be reached or written, Found when what came is not the official content,
/// Locked when another process is at it.
std::vector<std::filesystem::path> fetch(const DataSource& source, const FetchOptions& options);

/// Transfers one file to `to`, at most `most` bytes. Returns why the server did not deliver it,
/// or "" when it did; throws Error(Disk) for what is wrong on this side.
std::string download(const std::string& address, const std::filesystem::path& to, std::int64_t most,
                     const Meter& meter);

}  // namespace perturb
