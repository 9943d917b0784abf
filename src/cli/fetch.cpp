#include "cli/fetch.h"

#include <algorithm>
#include <optional>
#include <string_view>
#include <unistd.h>

#include "perturb/catalog/formats.h"
#include "perturb/core/digest.h"
#include "perturb/core/error.h"
#include "perturb/core/files.h"

namespace perturb {
namespace {

namespace fs = std::filesystem;

/// A file on its way; gone unless it was given its name.
class Partial {
 public:
  explicit Partial(fs::path path) : path_(std::move(path)) {}
  Partial(const Partial&) = delete;
  Partial& operator=(const Partial&) = delete;
  ~Partial() { ::unlink(path_.c_str()); }
  const fs::path& path() const { return path_; }

 private:
  fs::path path_;
};

void check_addresses(const std::vector<std::string>& addresses) {
  for (const auto& address : addresses) {
    const bool known = address.starts_with("http://") || address.starts_with("https://") ||
                       address.starts_with("file:///");
    if (known) continue;
    throw Error(ExitCode::Usage, "\"" + address + "\" is no address to download from",
                "it begins with http://, https:// or file:///, and is the folder of the files");
  }
}

std::string joined(const std::string& folder, const std::string& name) {
  return folder + (folder.ends_with('/') ? "" : "/") + name;
}

/// "" or why these are not the bytes that were published.
std::string difference(const Digest& digest, std::string_view sha256) {
  if (digest.hex() == sha256) return "";
  return "it is not the official file (SHA-256 " + digest.brief() + "..., not " +
         std::string(sha256.substr(0, 12)) + "...)";
}

bool is_official(const fs::path& path, const DataFile& file) {
  try {
    return sha256(read_maybe_gzip(path, file.bytes)).hex() == file.sha256;
  } catch (const Error&) {
    return false;
  }
}

/// The file, packed or not, if it is there already. Other content is never written over: it
/// may be the user's own data in the same form.
std::optional<fs::path> present(const fs::path& folder, const DataFile& file) {
  for (const char* suffix : {"", ".gz"}) {
    const fs::path path = folder / (std::string(file.name) + suffix);
    std::error_code error;
    if (!fs::exists(path, error)) continue;
    if (is_official(path, file)) return path;
    throw Error(ExitCode::Usage, path.string() + " is there already, but is not the official file",
                "move it away, or choose another folder with --to");
  }
  return std::nullopt;
}

class Fetcher {
 public:
  Fetcher(const DataSource& source, const FetchOptions& options)
      : source_(source), options_(options), addresses_(options.addresses) {
    if (addresses_.empty()) addresses_.assign(source.addresses.begin(), source.addresses.end());
    check_addresses(addresses_);
  }

  std::vector<fs::path> all() const {
    std::vector<fs::path> files;
    std::vector<const DataFile*> wanted;
    for (const auto& file : source_.files) {
      const auto path = present(options_.folder, file);
      files.push_back(path.value_or(options_.folder / file.name));
      if (!path) wanted.push_back(&file);
    }
    if (wanted.empty()) return files;
    if (!source_.archive.name.empty()) {
      unpack(wanted);
      return files;
    }
    for (const auto* file : wanted) {
      files[static_cast<std::size_t>(file - source_.files.data())] = one(*file);
    }
    return files;
  }

 private:
  /// Tries the addresses in order until `use` accepts what came from one; it returns "" or
  /// what is wrong with the file.
  template <typename Use>
  void from_anywhere(const std::string& name, std::int64_t most, Use use) const {
    const Partial partial(options_.folder / ("." + name + ".part"));
    std::string reasons;
    bool delivered = false;
    for (const auto& folder : addresses_) {
      const std::string address = joined(folder, name);
      std::string why = download(address, partial.path(), most, options_.meter);
      if (why.empty()) {
        why = use(partial.path());
        if (why.empty()) return;
        delivered = true;
      }
      reasons += (reasons.empty() ? "" : "; ") + address + ": " + why;
    }
    throw Error(delivered ? ExitCode::Found : ExitCode::Disk, reasons,
                "check the network, name a mirror with --from, or put the files into " +
                    options_.folder.string() + " by hand");
  }

  fs::path one(const DataFile& file) const {
    const std::string name = std::string(file.name) + ".gz";
    constexpr std::size_t kSlack = 1 << 20;  // more than gzip adds to what it cannot compress
    from_anywhere(name, static_cast<std::int64_t>(file.bytes + kSlack), [&](const fs::path& path) {
      std::string why = objection(path, file);
      if (why.empty()) publish(path, options_.folder / name);
      return why;
    });
    return options_.folder / name;
  }

  void unpack(const std::vector<const DataFile*>& wanted) const {
    const DataFile& archive = source_.archive;
    from_anywhere(std::string(archive.name), static_cast<std::int64_t>(archive.bytes),
                  [&](const fs::path& path) {
                    std::string why =
                        difference(sha256(read_file(path, archive.bytes)), archive.sha256);
                    if (why.empty()) put(read_maybe_gzip(path, kMostDecodedBytes), wanted);
                    return why;
                  });
  }

  void put(const std::string& archive, const std::vector<const DataFile*>& wanted) const {
    for (const auto* file : wanted) {
      const auto content = tar_member(archive, file->name);
      if (const auto why = difference(sha256(content), file->sha256); !why.empty()) {
        throw Error(ExitCode::Found, std::string(file->name) + ": " + why);
      }
      write_atomically(options_.folder / file->name, content);
    }
  }

  /// What came may be anything, such as a page that says that the file has moved.
  static std::string objection(const fs::path& path, const DataFile& file) {
    try {
      return difference(sha256(read_maybe_gzip(path, file.bytes)), file.sha256);
    } catch (const Error&) {
      return "it is not the official file (no gzip file, or of another size)";
    }
  }

  const DataSource& source_;
  const FetchOptions& options_;
  std::vector<std::string> addresses_;
};

}  // namespace

std::vector<fs::path> fetch(const DataSource& source, const FetchOptions& options) {
  const Fetcher fetcher(source, options);
  std::error_code error;
  fs::create_directories(options.folder, error);
  if (error) {
    throw Error(ExitCode::Disk, "cannot make " + options.folder.string() + ": " + error.message(),
                "choose another folder with --to");
  }
  auto lock = FileLock::try_acquire(options.folder / ".lock");
  if (!lock) {
    throw Error(ExitCode::Locked, "another process is fetching into " + options.folder.string(),
                "wait until it is done");
  }
  lock->describe("perturb data fetch, process " + std::to_string(::getpid()));
  return fetcher.all();
}

}  // namespace perturb
