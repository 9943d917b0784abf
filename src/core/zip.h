// Files in a zip archive that were put there without compression, as PyTorch and NumPy do. For
// archives that come from anywhere: every offset and size is checked, checksums are compared.
// PKWARE, APPNOTE.TXT 6.3.10, section 4.3.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <string_view>

namespace perturb {

class ZipArchive {
 public:
  /// Reads the directory. Throws Error(Usage) for what is no such archive, whole and consistent; a
  /// member that is compressed or encrypted is refused when it is asked for. `bytes` must outlive
  /// the archive.
  explicit ZipArchive(std::string_view bytes);

  struct Member {
    std::string_view bytes;
    std::uint32_t checksum = 0;
    bool plain = true;     ///< neither compressed nor encrypted
    bool checked = false;  ///< against the checksum
  };
  /// By name.
  const std::map<std::string, Member, std::less<>>& members() const { return members_; }
  /// The content of a member that has its checksum, which is compared once. Throws Error(Usage).
  std::string_view content(std::string_view name);

 private:
  std::map<std::string, Member, std::less<>> members_;
};

}  // namespace perturb
