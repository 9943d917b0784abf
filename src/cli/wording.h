// Numbers as people say them: "31 trials", "1,969,800", "1 h 12 min".
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace perturb {

/// With commas between thousands.
std::string grouped(std::int64_t number);
/// "1 trial", "31 trials"; `noun` in the singular, its plural in -s.
std::string counted(std::size_t number, std::string_view noun);
/// "512 B", "3.4 kB", "1.2 MB"; a kB is 1000 bytes.
std::string byte_size(std::uintmax_t bytes);
/// "42 s", "3 min 5 s", "1 h 12 min", "2 d 3 h".
std::string duration(double seconds);
/// "a, b and c".
std::string listed(const std::vector<std::string>& words);
/// The words of `text` in lines of at most `width` columns; a longer word has its own line.
std::vector<std::string> wrapped(std::string_view text, std::size_t width);

}  // namespace perturb
