#include "perturb/catalog/formats.h"
#include "perturb/core/error.h"

namespace perturb {
namespace {

constexpr std::size_t kBlock = 512;

[[noreturn]] void damaged(const std::string& message) {
  throw Error(ExitCode::Usage, "the archive " + message, "it is damaged: fetch it again");
}

/// A number in octal, ended by a blank, a zero byte or the end of its field.
std::size_t octal(std::string_view field) {
  std::size_t value = 0;
  bool any = false;
  for (const char c : field) {
    if (c == ' ' && !any) continue;
    if (c < '0' || c > '7') break;
    any = true;
    value = value * 8 + static_cast<std::size_t>(c - '0');  // 12 digits are 36 bits
  }
  if (!any) damaged("has a header without a size");
  return value;
}

/// The sum over the header's bytes, with its own field taken as blanks.
bool checksum_holds(std::string_view header) {
  constexpr std::size_t kField = 148, kLength = 8;
  std::size_t sum = 0;
  for (std::size_t i = 0; i < kBlock; ++i) {
    const bool own = i >= kField && i < kField + kLength;
    sum += own ? ' ' : static_cast<unsigned char>(header[i]);
  }
  return sum == octal(header.substr(kField, kLength));
}

}  // namespace

std::string_view tar_member(std::string_view bytes, std::string_view name) {
  for (std::size_t at = 0; at < bytes.size();) {
    if (bytes.size() - at < kBlock) damaged("ends inside a header");
    const std::string_view header = bytes.substr(at, kBlock);
    if (header.find_first_not_of('\0') == std::string_view::npos) break;  // the end mark
    if (!checksum_holds(header)) damaged("has a header whose checksum does not hold");
    const std::size_t size = octal(header.substr(124, 12));
    at += kBlock;
    if (size > bytes.size() - at) damaged("ends inside a file");

    std::string_view path = header.substr(0, 100);
    path = path.substr(0, path.find('\0'));
    const auto slash = path.rfind('/');
    const auto base = slash == std::string_view::npos ? path : path.substr(slash + 1);
    const bool plain = header[156] == '0' || header[156] == '\0';
    if (plain && base == name) return bytes.substr(at, size);

    const std::size_t padded = (size + kBlock - 1) / kBlock * kBlock;
    at = padded > bytes.size() - at ? bytes.size() : at + padded;
  }
  damaged("does not contain " + std::string(name));
}

}  // namespace perturb
