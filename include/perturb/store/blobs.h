// Content-addressed files: what a run keeps besides its numbers, each under the digest of its
// bytes. No database and no lock: whoever trains writes here, and the owner of the store refers
// to it afterwards (blob first, row second). A name promises nothing until the bytes behind it
// were hashed again.
#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "perturb/core/digest.h"

namespace perturb {

/// 16 GiB. A blob is read into memory as a whole; a billion weights in float32 with both moments
/// of Adam are 12 GB, and whatever is larger than this is not ours.
inline constexpr std::size_t kLargestBlob = std::size_t{16} << 30;

/// The files FOLDER/blobs/aa/DIGEST of a store's folder: all 64 hexadecimal digits, below a folder
/// of the first two. Safe to use from several threads and processes at once, on one host or many.
/// Throws Error(Disk) where the disk fails, and Error(Store) as said below.
class Blobs {
 public:
  /// Makes nothing: the first `put` does.
  explicit Blobs(std::filesystem::path store_folder);

  /// Writes the bytes under their digest: beside it, then rename. Not durable before `sync`.
  /// Always writes, even if the name is there: after a power cut a name proves nothing. What was
  /// durable before stays so. Throws Error(Store) where a folder of ours is a link to elsewhere.
  Digest put(std::string_view bytes) const;

  /// Makes these survive a power cut: syncs each file, then each folder up to the store's once.
  /// Blocks for milliseconds a file. Throws Error(Disk) also when one is missing.
  void sync(const std::vector<Digest>& blobs) const;

  /// The whole blob, hashed again. Throws Error(Store) when it is missing, larger than `limit`
  /// bytes (then nothing is read), or its bytes are not those of its name.
  std::string get(const Digest& blob, std::size_t limit = kLargestBlob) const;

  /// Nothing when there is no regular file of that name (a link is none). Says nothing of what
  /// is in it.
  std::optional<std::uintmax_t> size(const Digest& blob) const;

  /// Missing is fine.
  void remove(const Digest& blob) const;

  std::filesystem::path path(const Digest& blob) const;

  /// What lies in the folder, in the order of the names.
  struct Listing {
    std::vector<Digest> blobs;
    /// Temporary files, of writers that died or of those that write at this moment, and whatever
    /// else is no blob's. A folder that is none of ours is named, not entered.
    std::vector<std::filesystem::path> leftovers;
  };
  Listing list() const;

 private:
  std::filesystem::path folder_;  ///< FOLDER/blobs
};

}  // namespace perturb
