// Readers believe nothing: whatever the bytes are, they are read rightly or refused.
#include "perturb/catalog/formats.h"

#include <cstdint>
#include <random>
#include <string>
#include <vector>

#include <doctest/doctest.h>

#include "catalog/archives.h"
#include "perturb/core/error.h"

using namespace perturb;

namespace {

std::string idx(std::vector<std::uint32_t> dims, const std::string& values, char type = 8) {
  std::string bytes = {0, 0, type, static_cast<char>(dims.size())};
  for (const auto dim : dims) {
    for (int shift = 24; shift >= 0; shift -= 8) bytes += static_cast<char>(dim >> shift);
  }
  return bytes + values;
}

/// What is wrong with the table, or "" when nothing is.
std::string objection(const std::string& text, const CsvOptions& options = {}) {
  try {
    read_csv(text, options);
    return "";
  } catch (const Error& error) {
    CHECK(error.code() == ExitCode::Usage);
    return error.what();
  }
}

bool contains(const std::string& text, const std::string& part) {
  return text.find(part) != std::string::npos;
}

}  // namespace

TEST_CASE("idx: what was written is read") {
  const std::string values = "abcdef";
  const std::string bytes = idx({3, 2, 1}, values);
  const Idx read = read_idx(bytes);
  CHECK(read.dims == std::vector<std::int64_t>{3, 2, 1});
  CHECK(read.values == values);
  const std::string none = idx({0, 28, 28}, "");
  CHECK(read_idx(none).values.empty());
}

TEST_CASE("idx: every truncation, and every byte too many, is an error") {
  const std::string bytes = idx({2, 3}, "abcdef");
  REQUIRE_NOTHROW(read_idx(bytes));
  for (std::size_t length = 0; length < bytes.size(); ++length) {
    CAPTURE(length);
    CHECK_THROWS_AS(read_idx(std::string_view(bytes).substr(0, length)), Error);
  }
  CHECK_THROWS_AS(read_idx(bytes + "g"), Error);
}

TEST_CASE("idx: headers that claim too much are refused before anything is allocated") {
  constexpr std::uint32_t kHalf = 1u << 31, kAll = 0xffffffff;
  CHECK_THROWS_AS(read_idx(idx({kHalf}, "abc")), Error);
  CHECK_THROWS_AS(read_idx(idx({kHalf, 28, 28}, "abc")), Error);
  CHECK_THROWS_AS(read_idx(idx({kAll, kAll, kAll, kAll}, "abc")), Error);
  // This product is 0 modulo 2^64: exactly the bytes that follow.
  CHECK_THROWS_AS(read_idx(idx({kHalf, kHalf, 4, 4}, "")), Error);
  // A zero after the product has grown must not hide that it grew.
  CHECK_THROWS_AS(read_idx(idx({kAll, kAll, 0}, "")), Error);
}

TEST_CASE("idx: other magic numbers, types and ranks are refused") {
  CHECK_THROWS_AS(read_idx("\x1f\x8b\x08\x01\x00\x00\x00\x01z"), Error);
  CHECK_THROWS_AS(read_idx(idx({1}, "abcd", 0x0d)), Error);
  CHECK_THROWS_AS(read_idx(idx({}, "a")), Error);
  CHECK_THROWS_AS(read_idx(idx({1, 1, 1, 1, 1}, "a")), Error);
}

TEST_CASE("idx: random damage never does worse than throw") {
  std::mt19937 random(7);  // NOLINT: the same cases every time
  const std::string whole = idx({4, 3, 2}, std::string(24, 'x'));
  int read = 0;
  for (int round = 0; round < 20'000; ++round) {
    std::string bytes = whole;
    for (int i = 0; i < 2; ++i) bytes[random() % bytes.size()] = static_cast<char>(random());
    try {
      read_idx(bytes);
      ++read;  // damage to the values alone cannot be seen
    } catch (const Error&) {
    }
  }
  CHECK(read > 0);
  CHECK(read < 20'000);
}

TEST_CASE("images are 28 x 28 and labels below the number of classes") {
  const auto check = [](const std::string& bytes) { check_images(read_idx(bytes)); };
  CHECK_NOTHROW(check(idx({2, 28, 28}, std::string(2 * 784, 'p'))));
  CHECK_THROWS_AS(check(idx({2, 28, 27}, std::string(2 * 756, 'p'))), Error);
  CHECK_THROWS_AS(check(idx({2}, "ab")), Error);
  CHECK_THROWS_AS(check(idx({0, 28, 28}, "")), Error);
  const auto labels = [](const std::string& bytes) { check_labels(read_idx(bytes), 10); };
  CHECK_NOTHROW(labels(idx({3}, std::string("\0\1\x9", 3))));
  CHECK_THROWS_AS(labels(idx({3}, std::string("\0\1\xa", 3))), Error);
  CHECK_THROWS_AS(labels(idx({3}, std::string("\0\1\xff", 3))), Error);
  CHECK_THROWS_AS(labels(idx({1, 1}, std::string("\0", 1))), Error);
}

TEST_CASE("cifar10: whole records with labels below 10") {
  std::string bytes(2 * kCifarRecord, '\x09');
  CHECK(cifar10_records(bytes) == 2);
  CHECK_THROWS_AS(cifar10_records(bytes.substr(1)), Error);
  CHECK_THROWS_AS(cifar10_records(""), Error);
  bytes[1] = '\xff';  // a pixel may be anything
  CHECK(cifar10_records(bytes) == 2);
  bytes[kCifarRecord] = 10;
  CHECK_THROWS_AS(cifar10_records(bytes), Error);
}

TEST_CASE("csv: names, values and classes") {
  const auto table = read_csv("a,b,species\n1,2.5,setosa\n-3e2,.5,virginica\n5,6,setosa\n");
  CHECK(table.rows == 3);
  CHECK(table.features == 2);
  CHECK(table.names == std::vector<std::string>{"a", "b"});
  CHECK(table.values == std::vector<double>{1, 2.5, -300, .5, 5, 6});
  CHECK(table.classes == std::vector<std::string>{"setosa", "virginica"});
  CHECK(table.labels == std::vector<std::int64_t>{0, 1, 0});
}

TEST_CASE("csv: the class may be any column, by name or by place") {
  const auto named = read_csv("y,a\n1,10\n0,20\n", {.header = true, .target = "y"});
  CHECK(named.values == std::vector<double>{10, 20});
  CHECK(named.labels == std::vector<std::int64_t>{1, 0});
  const auto placed = read_csv("1,10\n0,20\n", {.header = false, .target = "1"});
  CHECK(placed.values == named.values);
  CHECK(placed.names.empty());
  CHECK(contains(objection("a,b\n1,2\n", {.header = true, .target = "z"}), "no column \"z\""));
  CHECK(objection("1,2\n", {.header = false, .target = "0"}) != "");
  CHECK(objection("1,2\n", {.header = false, .target = "3"}) != "");
  CHECK(objection("1,2\n", {.header = false, .target = "-1"}) != "");
}

TEST_CASE("csv: the order of rows does not change what a class is called") {
  const auto numbers = read_csv("x,y\n0,10\n0,9\n0,-1\n");
  CHECK(numbers.classes == std::vector<std::string>{"-1", "9", "10"});  // by number
  const auto words = read_csv("x,y\n0,10\n0,9\n0,b\n");
  CHECK(words.classes == std::vector<std::string>{"10", "9", "b"});  // by byte
}

TEST_CASE("csv: spellings of the same table") {
  const auto plain = read_csv("a,b,y\n1,2,u\n3,4,v w\n");
  for (const char* text : {
           "a,b,y\n1,2,u\n3,4,v w",          // no newline at the end
           "a,b,y\r\n1,2,u\r\n3,4,v w\r\n",  // the other line end
           "\xef\xbb\xbf"
           "a,b,y\n1,2,u\n3,4,v w\n",           // byte order mark
           " a , b\t,y\n 1,2 ,u\n3,4, v w \n",  // blanks around fields
           "\"a\",\"b\",y\n\"1\",2,\"u\"\n3,4,\"v w\" \n",
           "a,b,y\n1,2,u\n3,4,v w\n\n \n\r\n",  // blank lines at the end
       }) {
    CAPTURE(text);
    const auto table = read_csv(text);
    CHECK(table.names == plain.names);
    CHECK(table.values == plain.values);
    CHECK(table.classes == plain.classes);
    CHECK(table.labels == plain.labels);
  }
}

TEST_CASE("csv: quoted fields hold commas, quotes and line ends") {
  const auto table = read_csv("a,y\n1,\"x,\"\"z\"\"\nw\"\n2,q\n");
  CHECK(table.classes == std::vector<std::string>{"q", "x,\"z\"\nw"});
  // Lines inside a field count, so that a later error is found where an editor shows it.
  CHECK(contains(objection("a,y\n1,\"u\nv\"\nx,q\n"), "line 4, column 1"));
}

TEST_CASE("csv: what is wrong is named with its place") {
  CHECK(objection("") != "");
  CHECK(objection("\n\n") != "");
  CHECK(contains(objection("a,y\n"), "no rows"));
  CHECK(contains(objection("y\n1\n"), "only one column"));
  CHECK(contains(objection("a,b,y\n1,2,u\n1,u\n"), "line 3, column 1: 2 fields"));
  CHECK(contains(objection("a,b,y\n1,2,u,9\n"), "line 2, column 1: 4 fields"));
  CHECK(contains(objection("a,b,y\n1,,u\n"), "line 2, column 3: a missing value"));
  CHECK(contains(objection("a,y\n1,\n"), "line 2, column 3: a missing value"));
  CHECK(contains(objection("a,y\n1,u\n\n2,v\n"), "line 3"));
  CHECK(contains(objection("a,a,y\n1,2,u\n"), "line 1, column 3: a second column"));
  CHECK(contains(objection("a,y\n1x,u\n"), "line 2, column 1: \"1x\" is not a number"));
  for (const char* odd :
       {"nan", "inf", "-inf", "1e999", "1e39", "0x10", "+1", "1 2", "1_0", "--1"}) {
    CAPTURE(odd);
    CHECK(contains(objection(std::string("a,y\n") + odd + ",u\n"), "is not a number"));
  }
  CHECK(contains(objection("a,y\n1,\"u\n"), "line 2, column 3: a quote that is never closed"));
  CHECK(contains(objection("a,y\n1,\"u\"v\n"), "line 2, column 6: text after a closing quote"));
  CHECK(contains(objection("a,y\n1,u\"v\n"), "line 2, column 4: a quote inside"));
  CHECK(contains(objection("a,y\r1,u\r"), "a carriage return"));
}

TEST_CASE("csv: messages show no control characters and no endless text") {
  const auto message = objection("a,y\n\x1b[2J" + std::string(10'000, 'z') + ",u\n");
  CHECK(message.find('\x1b') == std::string::npos);
  CHECK(message.size() < 200);
}

TEST_CASE("csv: random texts are read or refused") {
  std::mt19937 random(11);  // NOLINT: the same cases every time
  const std::string alphabet = "1,2\n\"\r .ey";
  for (int round = 0; round < 50'000; ++round) {
    std::string text;
    const auto length = random() % 24;
    for (std::size_t i = 0; i < length; ++i) text += alphabet[random() % alphabet.size()];
    CAPTURE(text);
    try {
      const auto table = read_csv(text, {.header = round % 2 == 0, .target = {}});
      REQUIRE(table.rows >= 1);
      REQUIRE(table.labels.size() == static_cast<std::size_t>(table.rows));
      REQUIRE(table.values.size() == static_cast<std::size_t>(table.rows * table.features));
    } catch (const Error&) {
    }
  }
}

TEST_CASE("tar: members are found by name, whatever folder they are in") {
  const std::string archive = tar_entry("batches/", "", '5') + tar_entry("batches/a.bin", "first") +
                              tar_entry("b.bin", std::string(600, 'b')) + std::string(1024, '\0');
  CHECK(tar_member(archive, "a.bin") == "first");
  CHECK(tar_member(archive, "b.bin") == std::string(600, 'b'));
  CHECK_THROWS_AS(tar_member(archive, "c.bin"), Error);
  CHECK_THROWS_AS(tar_member(archive, "batches/"), Error);
  CHECK_THROWS_AS(tar_member("", "a.bin"), Error);
  // A link called a.bin is not its content.
  CHECK_THROWS_AS(tar_member(tar_entry("a.bin", "", '2'), "a.bin"), Error);
}

TEST_CASE("tar: every truncation and every changed header byte is an error") {
  const std::string archive = tar_entry("x", "1") + tar_entry("a.bin", "first");
  for (std::size_t length = 0; length < 1536 + 5; ++length) {
    CAPTURE(length);
    CHECK_THROWS_AS(tar_member(std::string_view(archive).substr(0, length), "a.bin"), Error);
  }
  for (std::size_t at = 0; at < 148; ++at) {
    CAPTURE(at);
    std::string damaged = archive;
    damaged[at] = static_cast<char>(damaged[at] + 1);
    CHECK_THROWS_AS(tar_member(damaged, "a.bin"), Error);
  }
}
