// Writes what the readers under test read: gzip and tar, byte by byte.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <string>

/// gzip without compression: stored blocks and the two sums at the end.
inline std::string gzipped(const std::string& bytes) {
  std::uint32_t crc = 0xffffffff;
  for (const char c : bytes) {
    crc ^= static_cast<unsigned char>(c);
    for (int bit = 0; bit < 8; ++bit) crc = crc >> 1 ^ (crc & 1 ? 0xedb88320 : 0);
  }
  const auto little = [](std::uint32_t value, int count) {
    std::string text;
    for (int i = 0; i < count; ++i) text += static_cast<char>(value >> 8 * i);
    return text;
  };
  std::string out("\x1f\x8b\x08\0\0\0\0\0\0\x03", 10);
  for (std::size_t at = 0; at < bytes.size() || at == 0;) {
    const std::string block = bytes.substr(at, 60'000);
    at += block.size();
    const auto size = static_cast<std::uint32_t>(block.size());
    out += static_cast<char>(at >= bytes.size());
    out += little(size, 2) + little(~size, 2) + block;
    if (block.empty()) break;
  }
  return out + little(~crc, 4) + little(static_cast<std::uint32_t>(bytes.size()), 4);
}

/// A tar header and the content, padded to whole blocks. `type` as in the header: 0, 2 (link), 5
/// (folder).
inline std::string tar_entry(const std::string& name, const std::string& content, char type = '0') {
  std::string header(512, '\0');
  header.replace(0, name.size(), name);
  char size[13];
  std::snprintf(size, sizeof size, "%011zo", content.size());
  header.replace(124, 11, size, 11);
  header[156] = type;
  header.replace(148, 8, 8, ' ');
  unsigned sum = 0;
  for (const char c : header) sum += static_cast<unsigned char>(c);
  char checksum[8];
  std::snprintf(checksum, sizeof checksum, "%06o", sum);
  header.replace(148, 7, std::string(checksum, 7));
  std::string padded = content;
  padded.resize((content.size() + 511) / 512 * 512);
  return header + padded;
}
