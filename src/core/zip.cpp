#include "core/zip.h"

#include <algorithm>
#include <cstddef>
#include <optional>
#include <utility>
#include <vector>

#include <fmt/format.h>
#include <zlib.h>

#include "perturb/core/error.h"

namespace perturb {
namespace {

[[noreturn]] void refuse(const std::string& what) {
  throw Error(ExitCode::Usage, "not a whole zip archive: " + what, "it is damaged or cut off");
}

/// Little-endian numbers and texts, never from beyond the end.
class Reader {
 public:
  Reader(std::string_view bytes, std::uint64_t at) : bytes_(bytes), at_(at) {
    if (at > bytes.size()) refuse("a part of it lies behind its end");
  }
  std::string_view take(std::uint64_t size) {
    if (size > bytes_.size() - at_) refuse("it ends within one of its parts");
    const auto taken = bytes_.substr(at_, size);
    at_ += size;
    return taken;
  }
  std::uint64_t number(std::size_t size) {
    const auto taken = take(size);
    std::uint64_t value = 0;
    for (std::size_t i = size; i-- > 0;) value = value << 8 | static_cast<unsigned char>(taken[i]);
    return value;
  }
  void expect(std::string_view signature, const char* what) {
    if (take(signature.size()) != signature) refuse(std::string(what) + " is not where it is due");
  }

 private:
  std::string_view bytes_;
  std::uint64_t at_ = 0;
};

constexpr std::string_view kEnd = "PK\x05\x06";
constexpr std::string_view kLocator64 = "PK\x06\x07";
constexpr std::string_view kEnd64 = "PK\x06\x06";
constexpr std::string_view kEntry = "PK\x01\x02";
constexpr std::string_view kLocal = "PK\x03\x04";
constexpr std::size_t kEndSize = 22;
constexpr std::size_t kLocatorSize = 20;
constexpr std::size_t kLongestComment = 0xFFFF;
constexpr std::uint64_t kElsewhere = 0xFFFFFFFF;  // the number is in the zip64 field
constexpr std::uint64_t kMostMembers = 1'000'000;

struct Directory {
  std::uint64_t at = 0, size = 0, members = 0;
};

Directory find_directory(std::string_view bytes) {
  if (bytes.size() < kEndSize) refuse("it is too short");
  // The end record is followed by a comment of the length that it says, and by nothing else.
  std::size_t end = bytes.size() - kEndSize;
  const std::size_t least = end > kLongestComment ? end - kLongestComment : 0;
  while (bytes.substr(end, kEnd.size()) != kEnd ||
         Reader(bytes, end + kEndSize - 2).number(2) != bytes.size() - end - kEndSize) {
    if (end == least) refuse("its directory is missing");
    --end;
  }
  Reader reader(bytes, end + 10);
  Directory found;
  found.members = reader.number(2);
  found.size = reader.number(4);
  found.at = reader.number(4);
  if (end >= kLocatorSize && bytes.substr(end - kLocatorSize, kLocator64.size()) == kLocator64) {
    Reader wide(bytes, Reader(bytes, end - kLocatorSize + 8).number(8));
    wide.expect(kEnd64, "the end of its directory");
    wide.take(8 + 2 + 2 + 4 + 4 + 8);
    found.members = wide.number(8);
    found.size = wide.number(8);
    found.at = wide.number(8);
  }
  if (found.members > kMostMembers) refuse("it claims more than a million members");
  return found;
}

/// The next number of the zip64 field, where the 32 bits say that it is there.
void widen(std::uint64_t& number, std::optional<Reader>& wide) {
  if (number != kElsewhere) return;
  if (!wide) refuse("a member's size or place is missing");
  number = wide->number(8);
}

std::optional<Reader> zip64_field(std::string_view extra) {
  for (Reader fields(extra, 0); extra.size() >= 4;) {
    const auto id = fields.number(2);
    const auto size = fields.number(2);
    const auto content = fields.take(size);
    if (id == 1) return Reader(content, 0);
    extra.remove_prefix(4 + size);
  }
  return std::nullopt;
}

}  // namespace

ZipArchive::ZipArchive(std::string_view bytes) {
  const auto directory = find_directory(bytes);
  Reader reader(bytes, directory.at);
  Reader entries(reader.take(directory.size), 0);
  std::vector<std::pair<std::uint64_t, std::uint64_t>> taken;
  for (std::uint64_t i = 0; i < directory.members; ++i) {
    entries.expect(kEntry, "an entry of its directory");
    entries.take(4);
    const auto flags = entries.number(2);
    const auto method = entries.number(2);
    entries.take(4);
    Member member;
    member.checksum = static_cast<std::uint32_t>(entries.number(4));
    auto packed = entries.number(4), size = entries.number(4);
    const auto name_size = entries.number(2), extra_size = entries.number(2);
    const auto comment_size = entries.number(2);
    entries.take(8);
    auto at = entries.number(4);
    const std::string name(entries.take(name_size));
    auto wide = zip64_field(entries.take(extra_size));
    entries.take(comment_size);
    widen(size, wide);
    widen(packed, wide);
    widen(at, wide);

    Reader local(bytes, at);
    local.expect(kLocal, "a member");
    local.take(22);
    const auto local_name = local.number(2), local_extra = local.number(2);
    if (local.take(local_name) != name) refuse("a member has two names");
    local.take(local_extra);
    member.bytes = local.take(packed);
    member.plain = method == 0 && (flags & 1) == 0 && packed == size;
    const auto end = static_cast<std::uint64_t>(member.bytes.data() - bytes.data()) + packed;
    taken.emplace_back(at, end);
    if (!members_.emplace(name, member).second) refuse("two members have one name");
  }
  std::sort(taken.begin(), taken.end());
  for (std::size_t i = 1; i < taken.size(); ++i)
    if (taken[i].first < taken[i - 1].second) refuse("two members share bytes");
}

std::string_view ZipArchive::content(std::string_view name) {
  const auto found = members_.find(name);
  if (found == members_.end()) refuse(fmt::format("{} is missing", name));
  auto& member = found->second;
  if (!member.plain)
    throw Error(ExitCode::Usage, fmt::format("{} is compressed or encrypted", name),
                "save it with torch.save, which does neither");
  const auto* data = reinterpret_cast<const Bytef*>(member.bytes.data());
  if (!member.checked && crc32_z(0, data, member.bytes.size()) != member.checksum)
    refuse(fmt::format("the checksum of {} does not match", name));
  member.checked = true;
  return member.bytes;
}

}  // namespace perturb
