#include "cli/wording.h"

#include <doctest/doctest.h>

using namespace perturb;

TEST_CASE("numbers are grouped by thousands") {
  CHECK(grouped(0) == "0");
  CHECK(grouped(999) == "999");
  CHECK(grouped(1000) == "1,000");
  CHECK(grouped(1234567) == "1,234,567");
  CHECK(grouped(-100) == "-100");
  CHECK(grouped(-1234) == "-1,234");
}

TEST_CASE("one trial, many trials") {
  CHECK(counted(1, "trial") == "1 trial");
  CHECK(counted(0, "trial") == "0 trials");
  CHECK(counted(100'000, "trial") == "100,000 trials");
}

TEST_CASE("sizes of files, never 1000 of a unit") {
  CHECK(byte_size(0) == "0 B");
  CHECK(byte_size(999) == "999 B");
  CHECK(byte_size(1000) == "1.0 kB");
  CHECK(byte_size(17'280) == "17.3 kB");
  CHECK(byte_size(999'960) == "1.0 MB");
  CHECK(byte_size(1'500'000'000) == "1.5 GB");
  CHECK(byte_size(2'000'000'000'000) == "2.0 TB");
}

TEST_CASE("durations in two units at most, never 60 of one") {
  CHECK(duration(0.04) == "0.0 s");
  CHECK(duration(9.94) == "9.9 s");
  CHECK(duration(59.4) == "59 s");
  CHECK(duration(59.6) == "1 min 0 s");
  CHECK(duration(185) == "3 min 5 s");
  CHECK(duration(3599.9) == "1 h 0 min");
  CHECK(duration(4320) == "1 h 12 min");
  CHECK(duration(2 * 86400 + 3 * 3600) == "2 d 3 h");
}

TEST_CASE("lists") {
  CHECK(listed({}) == "");
  CHECK(listed({"a"}) == "a");
  CHECK(listed({"a", "b", "c"}) == "a, b and c");
}

TEST_CASE("text is wrapped between words, and nothing is lost") {
  CHECK(wrapped("", 10).empty());
  CHECK(wrapped("one two three", 7) == std::vector<std::string>{"one two", "three"});
  CHECK(wrapped("unbreakable a", 4) == std::vector<std::string>{"unbreakable", "a"});
}
