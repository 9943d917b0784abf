#include "catalog/digest_cache.h"

#include <cstddef>
#include <ctime>
#include <sstream>
#include <string_view>
#include <sys/stat.h>

#include "perturb/core/error.h"
#include "perturb/core/files.h"

namespace perturb {
namespace {

namespace fs = std::filesystem;

constexpr std::size_t kMostBytes = 4 << 20;
constexpr std::size_t kMostEntries = 2000;

std::string check_of(std::string_view rest) { return sha256(rest).brief(); }

}  // namespace

DigestCache::DigestCache(const fs::path& folder) {
  if (folder.empty()) return;
  file_ = folder / "digests";
  entries_ = read();
}

DigestCache::Entries DigestCache::read() const {
  Entries entries;
  std::string text;
  try {
    if (!fs::exists(file_)) return entries;
    text = read_file(file_, kMostBytes);
  } catch (const std::exception&) {  // unreadable, or grown beyond all measure
    return entries;
  }
  std::istringstream lines(text);
  for (std::string line; std::getline(lines, line);) {
    const auto blank = line.find(' ');
    if (blank == std::string::npos) continue;
    const std::string rest = line.substr(blank + 1);
    if (line.substr(0, blank) != check_of(rest)) continue;
    std::istringstream words(rest);
    Known known;
    std::string hex, key;
    words >> known.examples >> hex;
    const auto digest = Digest::from_hex(hex);
    if (!digest || !std::getline(words >> std::ws, key)) continue;
    known.digest = *digest;
    entries[key] = known;
  }
  return entries;
}

std::optional<DigestCache::Known> DigestCache::find(const std::string& key) const {
  const auto found = entries_.find(key);
  if (found == entries_.end()) return std::nullopt;
  return found->second;
}

void DigestCache::keep(const std::string& key, const Known& known) {
  entries_[key] = known;
  fresh_[key] = known;
}

void DigestCache::save() {
  if (file_.empty() || fresh_.empty()) return;
  // What other processes wrote meanwhile is merged; two that write at the same moment lose
  // one's lines, which are computed again.
  Entries all = read();
  if (all.size() + fresh_.size() > kMostEntries) all.clear();
  for (const auto& [key, known] : fresh_) all[key] = known;
  std::string text;
  for (const auto& [key, known] : all) {
    const std::string rest = std::to_string(known.examples) + ' ' + known.digest.hex() + ' ' + key;
    text += check_of(rest) + ' ' + rest + '\n';
  }
  try {
    fs::create_directories(file_.parent_path());
    write_atomically(file_, text);
  } catch (const std::exception&) {
    return;  // a read-only home is no reason to fail: the next call computes again
  }
  fresh_.clear();
}

std::string DigestCache::key_of(const fs::path& file, const std::string& what) {
  struct stat status{};
  std::error_code error;
  const std::string path = fs::weakly_canonical(file, error).string();
  if (error || path.find('\n') != std::string::npos) return {};
  if (::stat(path.c_str(), &status) != 0 || !S_ISREG(status.st_mode)) return {};
  std::ostringstream key;
  key << what << ' ' << status.st_dev << ' ' << status.st_ino << ' ' << status.st_size;
  // The time of the last status change too: `cp -p` and `touch -r` can set the other back.
  for (const auto& time : {status.st_mtim, status.st_ctim}) {
    key << ' ' << time.tv_sec << '.' << time.tv_nsec;
  }
  key << ' ' << path;
  return key.str();
}

bool DigestCache::too_young(const fs::path& file) {
  struct stat status{};
  if (::stat(file.c_str(), &status) != 0) return true;
  constexpr std::time_t kSeconds = 2;  // coarser than the clock of any file system in use
  return status.st_mtim.tv_sec + kSeconds >= std::time(nullptr);
}

}  // namespace perturb
