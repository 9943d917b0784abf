#include "perturb/core/safetensors.h"

#include <cstdint>
#include <limits>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <doctest/doctest.h>

#include "perturb/core/error.h"

using namespace perturb;

namespace {

/// A file by the format's description, with whatever header.
std::string file_with(std::uint64_t length, std::string_view header, std::string_view data = "") {
  std::string file;
  for (int i = 0; i < 8; ++i) file += static_cast<char>(length >> (8 * i) & 0xFF);
  return file.append(header).append(data);
}

std::string file_with(std::string_view header, std::string_view data = "") {
  return file_with(header.size(), header, data);
}

/// What the refusal says; nothing when the file was taken.
std::optional<std::string> refusal(const std::string& file) {
  try {
    read_safetensors(file);
  } catch (const Error& error) {
    CHECK(error.code() == ExitCode::Usage);
    return error.what();
  }
  return std::nullopt;
}

void check_refused(const std::string& file, const std::string& reason) {
  CAPTURE(file.substr(0, 200));
  const auto said = refusal(file);
  REQUIRE(said);
  CHECK_MESSAGE(said->find(reason) != said->npos, *said);
  CHECK(said->find('\n') == said->npos);
  CHECK(said->size() < 400);
}

void check_equal(const Safetensors& read, const std::vector<StoredTensor>& tensors,
                 const std::map<std::string, std::string>& metadata) {
  CHECK(read.metadata == metadata);
  REQUIRE(read.tensors.size() == tensors.size());
  for (std::size_t i = 0; i < tensors.size(); ++i) {
    CHECK(read.tensors[i].name == tensors[i].name);
    CHECK(read.tensors[i].dtype == tensors[i].dtype);
    CHECK(read.tensors[i].shape == tensors[i].shape);
    CHECK(read.tensors[i].bytes == tensors[i].bytes);
  }
}

/// The header of one tensor, "a", whose entry is this.
std::string entry(const std::string& fields) { return R"({"a":{)" + fields + "}}"; }

std::string entry(const std::string& dtype, const std::string& shape, const std::string& offsets) {
  return entry(R"("dtype":")" + dtype + R"(","shape":)" + shape + R"(,"data_offsets":)" + offsets);
}

/// Two tensors of different types, an empty one and metadata: all that a header can have.
std::string small_file() {
  return write_safetensors(
      {{"w", "F32", {1, 2}, "12345678"}, {"none", "I64", {3, 0}, ""}, {"n", "U8", {}, "x"}},
      {{"step", "7"}, {"by", "perturb"}});
}

}  // namespace

TEST_CASE("what was written is read, in the order it was written") {
  const std::string bytes(64, '\xA5');
  const std::string_view all = bytes;
  const std::vector<StoredTensor> tensors = {
      {"z", "I64", {2}, all.substr(0, 16)},
      {"empty", "F32", {0, 5}, ""},
      {"also empty", "F32", {0}, ""},
      {"a \"name\"\n of \xC3\xA4", "BF16", {1, 3, 1}, all.substr(0, 6)},
      {"", "BOOL", {}, all.substr(0, 1)},
      {"after", "U16", {1, 0}, ""},
  };
  const std::map<std::string, std::string> metadata = {{"", ""}, {"tab\t", "a\\b\x01"}};
  const std::string file = write_safetensors(tensors, metadata);
  const Safetensors read = read_safetensors(file);
  check_equal(read, tensors, metadata);
  // Views, not copies.
  CHECK(read.tensors.back().bytes.data() == file.data() + file.size());
  CHECK(write_safetensors(read.tensors, read.metadata) == file);

  REQUIRE(read.find("z"));
  CHECK(read.find("z")->shape == std::vector<std::int64_t>{2});
  CHECK_FALSE(read.find("y"));
}

TEST_CASE("every dtype has the size that the format gives it") {
  const std::vector<std::pair<std::string, std::size_t>> dtypes = {
      {"BOOL", 1}, {"U8", 1},  {"I8", 1},  {"F8_E5M2", 1}, {"F8_E4M3", 1},
      {"I16", 2},  {"U16", 2}, {"F16", 2}, {"BF16", 2},    {"I32", 4},
      {"U32", 4},  {"F32", 4}, {"F64", 8}, {"I64", 8},     {"U64", 8}};
  for (const auto& [dtype, size] : dtypes) {
    CAPTURE(dtype);
    const std::string bytes(3 * size, 'x');
    const std::string file = write_safetensors({{"a", dtype, {3}, bytes}}, {});
    check_equal(read_safetensors(file), {{"a", dtype, {3}, bytes}}, {});
    check_refused(file + "x", "after its last tensor");
  }
}

// By hand from the format's description: a length of 8 bytes, the header, its padding, the data.
// Fields in the order and the writing of the reference implementation, which others compare with.
TEST_CASE("the bytes of a file are those of the format's description") {
  using namespace std::string_view_literals;
  constexpr std::string_view kExpected =
      "\x88\0\0\0\0\0\0\0"
      R"({"__metadata__":{"a":"b"},)"
      R"("w":{"dtype":"I16","shape":[2,1],"data_offsets":[0,4]},)"
      R"("s":{"dtype":"U8","shape":[],"data_offsets":[4,5]}})"
      "    \x01\0\x02\0\xFF"sv;
  const std::string file = write_safetensors(
      {{"w", "I16", {2, 1}, "\x01\0\x02\0"sv}, {"s", "U8", {}, "\xFF"sv}}, {{"a", "b"}});
  CHECK(file == kExpected);
  CHECK(write_safetensors({}, {}) == "\x08\0\0\0\0\0\0\0{}      "sv);
}

TEST_CASE("data begin at a multiple of 8, however long the header is") {
  for (std::size_t length = 1; length <= 16; ++length) {
    const std::string file = write_safetensors({{std::string(length, 'n'), "U8", {1}, "x"}}, {});
    CHECK(file.size() % 8 == 1);
    CHECK(read_safetensors(file).tensors.at(0).bytes.data() == file.data() + file.size() - 1);
  }
}

TEST_CASE("tensors come in the order of their data, whatever the order of the header") {
  const std::string file = file_with(R"({"b":{"shape":[1],"data_offsets":[1,2],"dtype":"U8"},)"
                                     R"("a":{"data_offsets":[0,1],"dtype":"I8","shape":[1]}} )",
                                     "xy");
  check_equal(read_safetensors(file), {{"a", "I8", {1}, "x"}, {"b", "U8", {1}, "y"}}, {});
}

TEST_CASE("a header length that cannot be is refused before anything is made of it") {
  check_refused("", "here are 0");
  check_refused(file_with(3, "{}"), "ends in its header");
  check_refused(file_with((16 << 20) + 1, "{}"), "16 MiB");
  check_refused(file_with(std::numeric_limits<std::uint64_t>::max(), "{}"), "16 MiB");
  check_refused(file_with(0, ""), "no JSON object");
  // As long as allowed, and as long as that plus one.
  std::string header = "{}";
  header.resize(16 << 20, ' ');
  CHECK_FALSE(refusal(file_with(header)));
  check_refused(file_with(header + ' '), "16 MiB");
}

TEST_CASE("a header that is no JSON object is refused") {
  check_refused(file_with("[]"), "no JSON object");
  check_refused(file_with(" {}"), "no JSON object");
  check_refused(file_with("\xEF\xBB\xBF{}"), "no JSON object");
  check_refused(file_with("{"), "no JSON from");
  check_refused(file_with("{} {}"), "no JSON from");
  check_refused(file_with("{\"a\xFF\":{}}"), "no JSON from");
  check_refused(file_with("{/**/}"), "no JSON from");
  // nlohmann would take a zero for the end of the text.
  check_refused(file_with(std::string_view("{}\0\"", 4)), "zero byte");
}

TEST_CASE("a key that comes twice is refused, wherever it is") {
  const std::string a = R"("a":{"dtype":"U8","shape":[0],"data_offsets":[0,0]})";
  CHECK_FALSE(refusal(file_with("{" + a + "}")));
  check_refused(file_with("{" + a + "," + a + "}"), R"("a" twice)");
  check_refused(file_with(R"({"__metadata__":{},"__metadata__":{}})"), "twice");
  check_refused(file_with(R"({"__metadata__":{"k":"1","k":"1"}})"), R"(key "k" twice)");
  const std::string more = R"("dtype":"U8","shape":[0],"data_offsets":[0,0],)";
  check_refused(file_with(entry(more + R"("dtype":"U8")")), R"("dtype" twice)");
  check_refused(file_with(entry(more + R"("shape":[0])")), R"("shape" twice)");
  check_refused(file_with(entry(more + R"("data_offsets":[0,0])")), R"("data_offsets" twice)");
  // The same key in other letters.
  check_refused(file_with(R"({"__metadata__":{"k":"1","\u006b":"1"}})"), "twice");
}

TEST_CASE("an entry that lacks something or has something more is refused") {
  check_refused(file_with(entry("")), "lacks");
  check_refused(file_with(entry(R"("shape":[0],"data_offsets":[0,0])")), "lacks");
  check_refused(file_with(entry(R"("dtype":"U8","data_offsets":[0,0])")), "lacks");
  check_refused(file_with(entry(R"("dtype":"U8","shape":[0])")), "lacks");
  check_refused(file_with(entry(R"("dtype":"U8","shape":[0],"data_offsets":[0,0],"x":1)")),
                R"(unknown key "x")");
}

TEST_CASE("a value of the wrong kind is refused, wherever it is") {
  for (const std::string value :
       {"1", "-1", "1.5", "null", "true", "\"x\"", "[]", "{}", "[[0]]", "[{}]", "[null]", "[true]",
        "[\"0\"]", "[-1]", "[-0]", "[1.0]", "[1e0]", "[18446744073709551616]", "[0,1,2]"}) {
    CAPTURE(value);
    if (value != "{}") {
      CHECK(refusal(file_with(R"({"a":)" + value + "}")));
      CHECK(refusal(file_with(R"({"__metadata__":)" + value + "}")));
    }
    if (value != "\"x\"") CHECK(refusal(file_with(R"({"__metadata__":{"k":)" + value + "}}")));
    const std::string dtype = R"("dtype":)" + value;
    CHECK(refusal(file_with(entry(dtype + R"(,"shape":[0],"data_offsets":[0,0])"))));
    if (value != "[]" && value != "[0,1,2]") CHECK(refusal(file_with(entry("U8", value, "[0,0]"))));
    CHECK(refusal(file_with(entry("U8", "[0]", value))));
  }
  check_refused(file_with(entry("U8", "[0]", "[0]")), "a begin and an end");
  check_refused(file_with(entry("U8", "[0]", "[0,0,0]")), "a number too many");
  check_refused(file_with(entry("U8", "[-1]", "[0,0]")), "a negative number");
  check_refused(file_with(entry("X9", "[0]", "[0,0]")), R"(unknown dtype "X9")");
}

TEST_CASE("a shape and offsets that do not fit each other or the file are refused") {
  CHECK_FALSE(refusal(file_with(entry("F32", "[1]", "[0,4]"), "1234")));
  check_refused(file_with(entry("F32", "[1]", "[0,3]"), "123"), "has 3 bytes");
  check_refused(file_with(entry("F32", "[1]", "[0,5]"), "12345"), "has 5 bytes");
  check_refused(file_with(entry("F32", "[]", "[0,0]")), "has 0 bytes");
  check_refused(file_with(entry("F32", "[1]", "[4,0]"), "1234"), "ends before it begins");
  check_refused(file_with(entry("F32", "[1]", "[0,4]"), "123"), "after the end of the file");
  check_refused(file_with(entry("F32", "[1]", "[0,4]"), "12345"), "1 bytes after its last");
  check_refused(file_with("{}", "x"), "1 bytes after its last");
  check_refused(file_with(entry("F32", "[1]", "[1,5]"), "12345"), "where 0 was due");

  const auto two = [](const std::string& first, const std::string& second) {
    return R"({"a":{"dtype":"U8","shape":[2],"data_offsets":)" + first +
           R"(},"b":{"dtype":"U8","shape":[2],"data_offsets":)" + second + "}}";
  };
  CHECK_FALSE(refusal(file_with(two("[0,2]", "[2,4]"), "1234")));
  check_refused(file_with(two("[0,2]", "[3,5]"), "12345"), "where 2 was due");
  check_refused(file_with(two("[0,2]", "[1,3]"), "123"), "where 2 was due");
  check_refused(file_with(two("[0,2]", "[0,2]"), "12"), "where 2 was due");
}

TEST_CASE("no product and no offset overflows its way to a size that fits") {
  const std::string half = "4294967296";  // 2^32: its square is 0 modulo 2^64
  check_refused(file_with(entry("U8", "[" + half + "," + half + "]", "[0,0]")), "larger than any");
  check_refused(file_with(entry("F64", "[2305843009213693952]", "[0,0]")), "larger than any");
  check_refused(file_with(entry("U8", "[9223372036854775808]", "[0,0]")), "out of range");
  // Empty, but whoever computes its strides would overflow.
  for (const std::string& shape :
       {"[0," + half + "," + half + "]", "[" + half + "," + half + ",0]"})
    check_refused(file_with(entry("U8", shape, "[0,0]")), "larger than any");
  const std::string most = "18446744073709551615";
  check_refused(file_with(entry("U8", "[1]", "[0," + most + "]"), "x"), "end of the file");
  check_refused(file_with(entry("U8", "[1]", "[" + most + ",0]"), "x"), "ends before");
  CHECK_FALSE(refusal(file_with(entry("U8", "[9223372036854775807,0]", "[0,0]"))));
}

TEST_CASE("however deep a header is nested, it is refused at the first level too many") {
  for (const char* open : {"[", R"({"a":)"}) {
    std::string header = R"({"a":)";
    while (header.size() < (1 << 20)) header += open;
    CHECK(refusal(file_with(header)));
  }
}

TEST_CASE("a refusal is one short line, whatever name it repeats") {
  check_refused(file_with(R"({"a\nb\u001b[31m)" + std::string(100'000, 'x') + R"(":1})"), "...");
  check_refused(file_with("{\"a\":" + std::string(100'000, '1') + "}"), "no JSON from");
  check_refused(file_with("{\"a\":" + std::string(100'000, 't') + "}"), "no JSON from");
}

TEST_CASE("no truncation of a file passes for the whole") {
  const std::string file = small_file();
  REQUIRE_FALSE(refusal(file));
  for (std::size_t size = 0; size < file.size(); ++size) {
    CAPTURE(size);
    CHECK(refusal(file.substr(0, size)));
  }
}

// Every byte of length and header with every value it can have. What is still taken must be a
// file that says of itself what was read of it: all data in use, once, and in order.
TEST_CASE("a wrong byte in the header is refused, or makes another consistent file") {
  const std::string file = small_file();
  const std::size_t data = file.size() - 9;
  int taken = 0;
  for (std::size_t at = 0; at < data; ++at) {
    for (int value = 0; value < 256; ++value) {
      std::string wrong = file;
      wrong[at] = static_cast<char>(value);
      try {
        const Safetensors read = read_safetensors(wrong);
        ++taken;
        const char* next = wrong.data() + data;
        for (const StoredTensor& tensor : read.tensors) {
          if (tensor.bytes.data() != next) FAIL("a hole before " << tensor.name << " at " << at);
          next += tensor.bytes.size();
        }
        if (next != wrong.data() + wrong.size()) FAIL("data left over at " << at);
        const std::string again = write_safetensors(read.tensors, read.metadata);
        if (read_safetensors(again).tensors.size() != read.tensors.size()) FAIL("at " << at);
      } catch (const Error& error) {
        if (error.code() != ExitCode::Usage) FAIL(error.what());
      }
    }
  }
  CHECK(taken > 1000);  // other names, other metadata
}

TEST_CASE("what could not be read is not written") {
  const auto refused = [](const std::vector<StoredTensor>& tensors,
                          const std::map<std::string, std::string>& metadata = {}) {
    try {
      write_safetensors(tensors, metadata);
    } catch (const Error& error) {
      return error.code() == ExitCode::Usage;
    }
    return false;
  };
  CHECK_FALSE(refused({{"a", "U8", {1}, "x"}}));
  CHECK(refused({{"a", "U8", {1}, "x"}, {"a", "U8", {1}, "x"}}));
  CHECK(refused({{"__metadata__", "U8", {1}, "x"}}));
  CHECK(refused({{"a", "U8", {2}, "x"}}));
  CHECK(refused({{"a", "U8", {-1, -1}, "x"}}));
  CHECK(refused({{"a", "char", {1}, "x"}}));
  CHECK(refused({{"\xFF", "U8", {1}, "x"}}));
  CHECK(refused({}, {{"a", "\xFF"}}));
}
