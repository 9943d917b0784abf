#include "perturb/core/state_dict.h"

#include <cstdint>
#include <cstring>
#include <filesystem>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <doctest/doctest.h>
#include <zlib.h>

#include "core/zip.h"
#include "perturb/core/error.h"
#include "perturb/core/files.h"
#include "perturb/core/random.h"

using namespace perturb;

namespace {

/// Written by PyTorch: tests/reference/state_dicts.py.
std::string file(const std::string& name) {
  return read_file("tests/core/state_dicts/" + name, 1 << 20);
}

std::string number(std::uint64_t value, std::size_t size) {
  std::string bytes;
  for (std::size_t i = 0; i < size; ++i) bytes += static_cast<char>(value >> (8 * i) & 0xFF);
  return bytes;
}

using Members = std::vector<std::pair<std::string, std::string>>;

/// By the format's description, without zip64.
std::string zip(const Members& members, std::uint16_t method = 0) {
  std::string bytes, directory;
  for (const auto& [name, content] : members) {
    const auto sum = crc32_z(0, reinterpret_cast<const Bytef*>(content.data()), content.size());
    const auto common = number(0, 2) + number(method, 2) + number(0, 4) + number(sum, 4) +
                        number(content.size(), 4) + number(content.size(), 4) +
                        number(name.size(), 2) + number(0, 2);
    directory += "PK\x01\x02" + number(0, 2) + number(20, 2) + common + number(0, 2) +
                 number(0, 2) + number(0, 2) + number(0, 4) + number(bytes.size(), 4) + name;
    bytes += "PK\x03\x04" + number(20, 2) + common + name + content;
  }
  return bytes + directory + "PK\x05\x06" + number(0, 4) + number(members.size(), 2) +
         number(members.size(), 2) + number(directory.size(), 4) + number(bytes.size(), 4) +
         number(0, 2);
}

std::string text(std::string_view word) { return "X" + number(word.size(), 4) + std::string(word); }
std::string integer(std::uint64_t value) { return "\x8a\x08" + number(value, 8); }

/// What PyTorch would write for {name: tensor} of 4 floats, with whatever offset, shape and
/// strides.
std::string tensor_pickle(std::string_view name, std::uint64_t offset, const std::string& shape,
                          const std::string& strides, const std::string& storage = "FloatStorage",
                          std::uint64_t elements = 4) {
  return "\x80\x02}" + text(name) + "ctorch._utils\n_rebuild_tensor_v2\n((" + text("storage") +
         "ctorch\n" + storage + "\n" + text("0") + text("cpu") + integer(elements) + "tQ" +
         integer(offset) + "(" + shape + "t(" + strides + "t\x89}tRs.";
}

std::string saved(const std::string& pickle, const std::string& data = std::string(16, 'x')) {
  return zip({{"archive/data.pkl", pickle}, {"archive/data/0", data}});
}

/// What the refusal says; nothing when the file was taken.
std::optional<std::string> refusal(const std::string& bytes, const std::string& entry = {}) {
  try {
    read_state_dict(bytes, entry);
  } catch (const Error& error) {
    CHECK(error.code() == ExitCode::Usage);
    CHECK(std::string(error.what()).size() < 400);
    return error.what();
  }
  return std::nullopt;
}

void check_refused(const std::string& bytes, const std::string& reason,
                   const std::string& entry = {}) {
  const auto said = refusal(bytes, entry);
  REQUIRE_MESSAGE(said, reason);
  CHECK_MESSAGE(said->find(reason) != said->npos, *said);
}

const StoredTensor& found(const StateDict& dict, std::string_view name) {
  for (const auto& tensor : dict.tensors)
    if (tensor.name == name) return tensor;
  FAIL("there is no " << name);
  return dict.tensors.front();
}

std::vector<float> floats(const StoredTensor& tensor) {
  std::vector<float> values(tensor.bytes.size() / sizeof(float));
  std::memcpy(values.data(), tensor.bytes.data(), tensor.bytes.size());
  return values;
}

using Shape = std::vector<std::int64_t>;

}  // namespace

TEST_CASE("a state_dict of PyTorch's has its tensors, in their order") {
  for (const auto* name : {"mlp.pt", "protocol4.pt"}) {
    CAPTURE(name);
    const auto bytes = file(name);
    const auto dict = read_state_dict(bytes);
    REQUIRE(dict.tensors.size() == 4);
    CHECK(dict.tensors[0].name == "0.weight");
    CHECK(dict.tensors[0].dtype == "F32");
    CHECK(dict.tensors[0].shape == Shape{8, 4});
    CHECK(dict.tensors[3].name == "2.bias");
    CHECK(dict.tensors[3].shape == Shape{3});
    CHECK(dict.others.empty());
    // noise(1, (8,)) / 4 of the generator: element 0 is ((1 * 61) % 1009) / 504 - 1.
    CHECK(floats(dict.tensors[1])[0] == static_cast<float>((61 / 504.0 - 1) / 4));
  }
}

TEST_CASE("tensors are read row by row, whatever strides, type or storage they have") {
  const auto bytes = file("kinds.pt");
  const auto dict = read_state_dict(bytes);
  CHECK(floats(found(dict, "row")) == std::vector<float>{4, 5, 6, 7});
  CHECK(found(dict, "transposed").shape == Shape{4, 3});
  CHECK(floats(found(dict, "transposed")) ==
        std::vector<float>{0, 4, 8, 1, 5, 9, 2, 6, 10, 3, 7, 11});
  CHECK(floats(found(dict, "every_other")) == std::vector<float>{0, 2, 4, 6, 8, 10});
  CHECK(found(dict, "scalar").shape.empty());
  CHECK(floats(found(dict, "scalar")) == std::vector<float>{2.5});
  CHECK(found(dict, "empty").shape == Shape{0, 3});
  CHECK(found(dict, "empty").bytes.empty());
  CHECK(floats(found(dict, "parameter")) == std::vector<float>{8, 9, 10, 11});
  for (const auto& [name, dtype] :
       std::vector<std::pair<std::string, std::string>>{{"half", "F16"},
                                                        {"brain", "BF16"},
                                                        {"double", "F64"},
                                                        {"long", "I64"},
                                                        {"flag", "BOOL"},
                                                        {"byte", "U8"}}) {
    CHECK(found(dict, name).dtype == dtype);
  }
  // What was read can be written: types and sizes are those of safetensors.
  CHECK(read_safetensors(write_safetensors(dict.tensors, {})).tensors.size() == 13);
}

TEST_CASE("of a checkpoint, the dictionary that is named") {
  const auto bytes = file("checkpoint.pt");
  check_refused(bytes, "in its entries model");
  CHECK(read_state_dict(bytes, "model").tensors.size() == 4);
  check_refused(bytes, "there is no dictionary \"epoch\"", "epoch");
  check_refused(bytes, "there is no dictionary \"modle\"", "modle");
}

TEST_CASE("what is no state_dict is refused by what it is") {
  check_refused(file("legacy.pt"), "before version 1.6");
  check_refused(file("whole_model.pt"), "it would use torch.nn.modules.container.Sequential");
  check_refused(file("script.pt"), "TorchScript");
  check_refused(write_safetensors({{"a", "U8", {1}, "x"}}, {}), "looks like safetensors");
  check_refused("", "not one that torch.save wrote");
  check_refused(zip({{"other", "x"}}), "none that torch.save wrote");
  check_refused(zip({{"a/data.pkl", "\x80\x02}."}}, 8), "compressed");
  check_refused(zip({{"a/data.pkl", "\x80\x02}."}, {"a/byteorder", "big"}}), "big-endian");
}

TEST_CASE("nothing is called: a pickle that names anything else is refused") {
  check_refused(saved("\x80\x02"
                      "cos\nsystem\n" +
                      text("true") + "\x85R."),
                "os.system");
  check_refused(saved("\x80\x04\x8c\x05posix\x8c\x06system\x93."), "posix.system");
  check_refused(saved("\x80\x02"
                      "cbuiltins\neval\n."),
                "builtins.eval");
  // Nor are names made of parts of known ones.
  check_refused(saved("\x80\x02"
                      "ctorch._utils _rebuild_tensor_v2\n\n."),
                "it would use");
  check_refused(saved("\x80\x02i."), "opcode");      // INST
  check_refused(saved("\x80\x02}\x81."), "opcode");  // NEWOBJ
  check_refused(saved("\x80\x02}}R."), "no function");
}

TEST_CASE("every size and offset is checked") {
  const auto two = integer(2), one = integer(1);
  CHECK_FALSE(refusal(saved(tensor_pickle("w", 0, two + two, two + one))));
  CHECK_FALSE(refusal(saved(tensor_pickle("w", 3, one, one))));
  check_refused(saved(tensor_pickle("w", 1, two + two, two + one)), "beyond the end");
  check_refused(saved(tensor_pickle("w", 4, one, one)), "beyond the end");
  check_refused(saved(tensor_pickle("w", std::uint64_t{1} << 63, one, one)), "none");
  check_refused(saved(tensor_pickle("w", 0, two, integer(std::uint64_t{1} << 62))),
                "beyond the end");
  check_refused(saved(tensor_pickle("w", 0, integer(~std::uint64_t{0}), one)), "none");
  check_refused(saved(tensor_pickle("w", 0, two, one + one)), "none");
  const auto huge = integer(std::uint64_t{1} << 40);
  check_refused(saved(tensor_pickle("w", 0, huge + huge, one + one)), "larger than any file");
  // All of them one element: as many as anybody likes, from a small file.
  check_refused(saved(tensor_pickle("w", 0, integer(1 << 30), integer(0))), "much larger");
  check_refused(saved(tensor_pickle("w", 0, two, one, "FloatStorage", 5)), "another size");
  check_refused(saved(tensor_pickle("w", 0, two, one, "FloatStorage"), "abc"), "another size");
  check_refused(saved(tensor_pickle("w", 0, two, one, "ComplexFloatStorage")),
                "torch.ComplexFloatStorage");
  check_refused(zip({{"a/data.pkl", tensor_pickle("w", 0, two, one)}}), "data/0 is missing");
  std::string shape, strides;
  for (int i = 0; i < 100; ++i) shape += one, strides += one;
  check_refused(saved(tensor_pickle("w", 0, shape, strides)), "none");
  check_refused(saved(tensor_pickle(std::string(5000, 'w'), 0, two, one)), "more than 1000 bytes");
}

TEST_CASE("a pickle cannot take much time or memory") {
  // Nested, kept, and without an end: each in its own way more than anybody needs.
  check_refused(saved("\x80\x02" + std::string(3'000'000, '(') + "."), "two million steps");
  check_refused(saved("\x80\x02" + std::string(3'000'000, ']') + "."), "two million steps");
  std::string doubled = "\x80\x02]";
  for (int i = 0; i < 400'000; ++i) doubled += "q\x01h\x01\x86";
  check_refused(saved(doubled + "."), "no dictionary");  // a tree of 2^400,000 leaves
  std::string nested = "\x80\x02)";
  for (int i = 0; i < 1'000'000; ++i) nested += "\x85";
  check_refused(saved(nested + "."), "no dictionary");
  check_refused(saved("\x80\x02}q\x01" + text("self") + "h\x01s."), "no tensors");
  check_refused(saved("\x80\x02X\xff\xff\xff\xff"
                      "abc."),
                "ends in the middle");
  check_refused(saved("\x80\x02\x8d" + number(~std::uint64_t{0}, 8) + "abc."),
                "ends in the middle");
  check_refused(saved("\x80\x02"), "ends in the middle");
  check_refused(saved("\x80\x02."), "empty stack");
  check_refused(saved("\x80\x02}(0."), "empty stack");  // not below a mark
  check_refused(saved("\x80\x02h\x07."), "did not keep");
}

TEST_CASE("an archive is whole or refused") {
  const auto good = zip({{"a/data.pkl", "\x80\x02}."}});
  check_refused(good, "no tensors are in it");  // it is read to the end
  check_refused(good.substr(0, good.size() - 1), "directory is missing");
  check_refused(good + "x", "directory is missing");
  check_refused("PK\x05\x06", "too short");
  check_refused(zip({{"a/data.pkl", "x"}, {"a/data.pkl", "x"}}), "one name");
  // One member inside another.
  const auto inner = zip({{"b", "12"}});
  auto nested = zip({{"a", inner.substr(0, inner.find("PK\x01\x02"))}, {"b", "12"}});
  nested[nested.rfind("PK\x01\x02") + 42] = 31;  // behind the header and the name of the first
  check_refused(nested, "share bytes");
  auto damaged = file("mlp.pt");
  const auto at = damaged.find("_rebuild_tensor_v2");
  damaged[at] = 'x';
  check_refused(damaged, "checksum");
}

TEST_CASE("no damage to a file does more than to have it refused") {
  // Cut off anywhere, any byte changed, and changed pickles under right checksums.
  const auto whole = file("kinds.pt");
  for (std::size_t size = 0; size < whole.size(); size += 7) {
    const auto said = refusal(whole.substr(0, size));
    CHECK(said);
  }
  Random random(1, "tests/state_dict");
  const auto below = [&](std::size_t n) { return static_cast<std::size_t>(random.below(n)); };
  for (int i = 0; i < 3000; ++i) {
    auto bytes = whole;
    for (std::size_t k = 0; k <= below(4); ++k)
      bytes[below(bytes.size())] = static_cast<char>(below(256));
    refusal(bytes);
  }
  ZipArchive archive(whole);
  for (int i = 0; i < 3000; ++i) {
    Members members;
    for (const auto& [name, member] : archive.members()) {
      members.emplace_back(name, std::string(member.bytes));
      auto& pickle = members.back().second;
      if (!name.ends_with("data.pkl")) continue;
      for (std::size_t k = 0; k <= below(3); ++k)
        pickle[below(pickle.size())] = static_cast<char>(below(256));
    }
    refusal(zip(members));
  }
}
