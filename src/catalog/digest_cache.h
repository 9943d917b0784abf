// What was once computed from a file, remembered until the file changes. A file on disk
// shared by all processes of the user; losing it, or any line of it, costs time only.
//
// Each line: check, examples, digest, key (see key_of), separated by blanks. `check` begins the
// SHA-256 of the rest: a damaged line must not become the identity of a trial.
#pragma once

#include <cstdint>
#include <filesystem>
#include <map>
#include <optional>
#include <string>

#include "perturb/core/digest.h"

namespace perturb {

class DigestCache {
 public:
  struct Known {
    Digest digest;
    std::int64_t examples = 0;
  };

  /// `folder` empty: remembers nothing.
  explicit DigestCache(const std::filesystem::path& folder);

  /// `key` as key_of gave it.
  std::optional<Known> find(const std::string& key) const;
  void keep(const std::string& key, const Known& known);
  /// Writes what was kept; silently does nothing where that is not possible.
  void save();

  /// What is computed (one word), and the file with all that changes when it changes: device,
  /// inode, size, times of content and status, path. Empty if there is no such file.
  static std::string key_of(const std::filesystem::path& file, const std::string& what);
  /// The file changed so lately that another change might leave no trace in its time.
  static bool too_young(const std::filesystem::path& file);

 private:
  using Entries = std::map<std::string, Known>;
  Entries read() const;
  std::filesystem::path file_;
  Entries entries_;
  Entries fresh_;
};

}  // namespace perturb
