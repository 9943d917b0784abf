#include "perturb/core/safetensors.h"

#include <algorithm>
#include <array>
#include <cstddef>
#include <fstream>
#include <limits>
#include <optional>
#include <set>
#include <tuple>
#include <utility>

#include <fmt/format.h>
#include <fmt/ranges.h>
#include <nlohmann/json.hpp>

#include "perturb/core/error.h"

namespace perturb {

namespace {

using Json = nlohmann::json;

constexpr std::size_t kLengthBytes = 8;
/// What becomes of a header in memory is some ten times its size.
constexpr std::uint64_t kLargestHeader = 16 << 20;
constexpr std::string_view kMetadata = "__metadata__";

constexpr std::array<std::pair<std::string_view, std::uint64_t>, 15> kElementBytes{{
    {"BOOL", 1},
    {"U8", 1},
    {"I8", 1},
    {"F8_E5M2", 1},
    {"F8_E4M3", 1},
    {"I16", 2},
    {"U16", 2},
    {"F16", 2},
    {"BF16", 2},
    {"I32", 4},
    {"U32", 4},
    {"F32", 4},
    {"F64", 8},
    {"I64", 8},
    {"U64", 8},
}};

[[noreturn]] void refuse(const std::string& what) {
  throw Error(ExitCode::Usage, "not a valid safetensors file: " + what,
              "it is damaged or something else");
}

/// A name from a file as a message can show it: one short line, whatever the name is.
std::string shown(std::string_view name) {
  constexpr std::size_t kLongest = 60;
  const bool cut = name.size() > kLongest;
  const Json text = std::string(name.substr(0, kLongest)) + (cut ? "..." : "");
  return text.dump(-1, ' ', /*ensure_ascii=*/true, Json::error_handler_t::replace);
}

struct Entry {
  StoredTensor tensor;
  std::uint64_t begin = 0;  ///< of its bytes, counted from the end of the header
  std::uint64_t end = 0;
};

/// Takes the header event by event. Every event is expected where it comes or is an error: so a
/// key that comes twice is seen (a parsed document would silently keep the last), and nothing can
/// be nested deeper than the format has it.
class HeaderReader final : public nlohmann::json_sax<Json> {
 public:
  std::map<std::string, std::string> metadata;
  std::vector<Entry> entries;  // in the order of the header

  bool start_object(std::size_t /*size*/) override {
    if (where_ == Where::Start) {
      where_ = Where::File;
    } else if (where_ == Where::File && key_ == kMetadata) {
      where_ = Where::Metadata;
    } else if (where_ == Where::File) {
      entries.emplace_back().tensor.name = key_;
      has_dtype_ = has_shape_ = has_offsets_ = false;
      where_ = Where::Tensor;
    } else {
      refuse_here("an object");
    }
    return true;
  }

  bool key(std::string& name) override {
    if (where_ == Where::File && !names_.insert(name).second)
      refuse("the header has the key " + shown(name) + " twice");
    if (where_ == Where::Metadata && metadata.contains(name))
      refuse("the metadata have the key " + shown(name) + " twice");
    if (where_ == Where::Tensor) {
      bool* const had = name == "dtype"          ? &has_dtype_
                        : name == "shape"        ? &has_shape_
                        : name == "data_offsets" ? &has_offsets_
                                                 : nullptr;
      if (!had) refuse(place() + " has the unknown key " + shown(name));
      if (std::exchange(*had, true)) refuse(place() + " has the key " + shown(name) + " twice");
    }
    key_ = std::move(name);
    return true;
  }

  bool end_object() override {
    if (where_ == Where::Tensor && !(has_dtype_ && has_shape_ && has_offsets_))
      refuse(place() + " lacks dtype, shape or data_offsets");
    where_ = where_ == Where::File ? Where::End : Where::File;
    return true;
  }

  bool start_array(std::size_t /*size*/) override {
    if (where_ != Where::Tensor || key_ == "dtype") refuse_here("an array");
    where_ = key_ == "shape" ? Where::Shape : Where::Offsets;
    offsets_ = 0;
    return true;
  }

  bool end_array() override {
    if (where_ == Where::Offsets && offsets_ != 2)
      refuse(place() + " needs a begin and an end in data_offsets");
    where_ = Where::Tensor;
    return true;
  }

  bool string(std::string& text) override {
    if (where_ == Where::Metadata) {
      metadata.emplace(std::move(key_), std::move(text));
    } else if (where_ == Where::Tensor && key_ == "dtype") {
      entries.back().tensor.dtype = std::move(text);
    } else {
      refuse_here("a string");
    }
    return true;
  }

  bool number_unsigned(std::uint64_t number) override {
    if (where_ == Where::Shape) {
      if (number > static_cast<std::uint64_t>(std::numeric_limits<std::int64_t>::max()))
        refuse_here("a number out of range");
      entries.back().tensor.shape.push_back(static_cast<std::int64_t>(number));
    } else if (where_ == Where::Offsets && offsets_ < 2) {
      (offsets_ == 0 ? entries.back().begin : entries.back().end) = number;
      ++offsets_;
    } else {
      refuse_here("a number too many");
    }
    return true;
  }

  bool number_integer(std::int64_t /*number*/) override { refuse_here("a negative number"); }
  // Also an integer beyond 64 bits.
  bool number_float(double /*number*/, const std::string& /*text*/) override {
    refuse_here("a number that is no integer of 64 bits");
  }
  bool null() override { refuse_here("null"); }
  bool boolean(bool /*value*/) override { refuse_here("a truth value"); }
  bool binary(Json::binary_t& /*bytes*/) override { refuse_here("binary data"); }

  bool parse_error(std::size_t position, const std::string& /*token*/,
                   const Json::exception& /*error*/) override {
    // Without the parser's own words: they repeat the token, which may be all of the header.
    refuse(fmt::format("its header is no JSON from byte {} on", position));
  }

 private:
  enum class Where {
    Start,     ///< nothing was read yet
    File,      ///< in the outermost object: the names of tensors, and the metadata
    Metadata,  ///< in a map of strings to strings
    Tensor,    ///< in the entry of the last tensor of `entries`
    Shape,     ///< in its array of extents
    Offsets,   ///< in its array of begin and end
    End,       ///< the outermost object was closed
  };

  std::string place() const {
    switch (where_) {
      case Where::Start:
      case Where::End:
        return "the header";
      case Where::File:
        return "the entry " + shown(key_);
      case Where::Metadata:
        return "the metadata's " + shown(key_);
      case Where::Tensor:
      case Where::Shape:
      case Where::Offsets:
        break;
    }
    return "the tensor " + shown(entries.back().tensor.name);
  }

  [[noreturn]] void refuse_here(std::string_view what) const {
    refuse(fmt::format("{} has {} where something else belongs", place(), what));
  }

  Where where_ = Where::Start;
  std::string key_;  ///< the last one, of whatever object
  std::set<std::string> names_;
  bool has_dtype_ = false;
  bool has_shape_ = false;
  bool has_offsets_ = false;
  int offsets_ = 0;  ///< how many were read
};

/// Nothing for a type that the format does not know.
std::optional<std::uint64_t> element_bytes(std::string_view dtype) {
  for (const auto& [name, bytes] : kElementBytes)
    if (name == dtype) return bytes;
  return std::nullopt;
}

/// How many bytes the dtype and the shape ask for.
std::uint64_t claimed_bytes(const StoredTensor& tensor) {
  const auto element = element_bytes(tensor.dtype);
  if (!element) {
    refuse(fmt::format("the tensor {} has the unknown dtype {}", shown(tensor.name),
                       shown(tensor.dtype)));
  }
  std::int64_t bytes = static_cast<std::int64_t>(*element);
  bool empty = false;
  for (const std::int64_t extent : tensor.shape) {
    empty = empty || extent == 0;
    // Also beside a 0: whoever multiplies the extents into strides must not overflow.
    if (extent != 0 && __builtin_mul_overflow(bytes, extent, &bytes))
      refuse(fmt::format("the tensor {} is larger than any file", shown(tensor.name)));
  }
  return empty ? 0 : static_cast<std::uint64_t>(bytes);
}

/// Of a file of `size` bytes that begins with `bytes`, 8 of them if there are so many.
std::uint64_t header_length(std::string_view bytes, std::uint64_t size) {
  if (size < kLengthBytes || bytes.size() < kLengthBytes)
    refuse(fmt::format("it starts with 8 bytes, here are {}", size));
  std::uint64_t length = 0;
  for (std::size_t i = kLengthBytes; i-- > 0;)
    length = length << 8 | static_cast<unsigned char>(bytes[i]);
  if (length > kLargestHeader)
    refuse(fmt::format("its header claims {} bytes, and 16 MiB are the most", length));
  if (length > size - kLengthBytes) refuse("it ends in its header");
  return length;
}

HeaderReader read_header(std::string_view header) {
  // A byte order mark or white space would pass for JSON, and for nlohmann a zero ends the text.
  if (!header.starts_with('{')) refuse("its header is no JSON object");
  if (header.find('\0') != header.npos) refuse("its header has a zero byte");
  HeaderReader reader;
  if (!Json::sax_parse(header, &reader)) refuse("its header is no JSON");
  return reader;
}

/// The tensors of a header, once all that it claims of `size` bytes of data is true. Their bytes
/// are null where `data` is.
Safetensors checked(HeaderReader header, std::uint64_t size, const char* data) {
  // Stable: empty tensors at one place stay as they were written.
  std::stable_sort(header.entries.begin(), header.entries.end(),
                   [](const Entry& a, const Entry& b) {
                     return std::tie(a.begin, a.end) < std::tie(b.begin, b.end);
                   });
  Safetensors file;
  file.metadata = std::move(header.metadata);
  file.tensors.reserve(header.entries.size());
  std::uint64_t at = 0;
  for (Entry& entry : header.entries) {
    const std::string name = shown(entry.tensor.name);
    if (entry.begin > entry.end) refuse(fmt::format("the tensor {} ends before it begins", name));
    if (entry.begin != at) {
      refuse(fmt::format("the tensor {} begins at byte {} of the data, where {} was due", name,
                         entry.begin, at));
    }
    if (entry.end > size) refuse(fmt::format("the tensor {} ends after the end of the file", name));
    if (claimed_bytes(entry.tensor) != entry.end - entry.begin) {
      refuse(fmt::format("the tensor {} has {} bytes, which is not what its shape and {} ask for",
                         name, entry.end - entry.begin, entry.tensor.dtype));
    }
    if (data) entry.tensor.bytes = {data + entry.begin, entry.end - entry.begin};
    at = entry.end;
    file.tensors.push_back(std::move(entry.tensor));
  }
  if (at != size) refuse(fmt::format("{} bytes after its last tensor", size - at));
  return file;
}

std::string quoted(const std::string& text) {
  try {
    return Json(text).dump();
  } catch (const Json::type_error&) {
    throw Error(ExitCode::Usage, "safetensors cannot hold " + shown(text) + ": it is not UTF-8");
  }
}

}  // namespace

const StoredTensor* Safetensors::find(std::string_view name) const {
  for (const StoredTensor& tensor : tensors)
    if (tensor.name == name) return &tensor;
  return nullptr;
}

std::string write_safetensors(const std::vector<StoredTensor>& tensors,
                              const std::map<std::string, std::string>& metadata) {
  // Put together by hand: a JSON object of the library's would sort the names or lose one that
  // comes twice, where reading it back, below, refuses it.
  std::vector<std::string> entries;
  if (!metadata.empty()) {
    std::vector<std::string> pairs;
    for (const auto& [key, value] : metadata) pairs.push_back(quoted(key) + ':' + quoted(value));
    entries.push_back(fmt::format("\"{}\":{{{}}}", kMetadata, fmt::join(pairs, ",")));
  }
  std::size_t end = 0;
  for (const StoredTensor& tensor : tensors) {
    const std::size_t begin = std::exchange(end, end + tensor.bytes.size());
    entries.push_back(fmt::format(R"({}:{{"dtype":{},"shape":[{}],"data_offsets":[{},{}]}})",
                                  quoted(tensor.name), quoted(tensor.dtype),
                                  fmt::join(tensor.shape, ","), begin, end));
  }
  std::string header = fmt::format("{{{}}}", fmt::join(entries, ","));
  header.resize((header.size() + 7) / 8 * 8, ' ');

  std::string file;
  file.reserve(kLengthBytes + header.size() + end);
  for (std::size_t i = 0; i < kLengthBytes; ++i)
    file += static_cast<char>(static_cast<std::uint64_t>(header.size()) >> (8 * i) & 0xFF);
  file += header;
  for (const StoredTensor& tensor : tensors) file += tensor.bytes;
  read_safetensors(file);  // one set of rules for both directions; it does not look at the data
  return file;
}

Safetensors read_safetensors(std::string_view bytes) {
  const std::uint64_t length = header_length(bytes, bytes.size());
  const std::string_view data = bytes.substr(kLengthBytes + length);
  return checked(read_header(bytes.substr(kLengthBytes, length)), data.size(), data.data());
}

Safetensors read_safetensors_header(const std::filesystem::path& file) {
  std::error_code error;
  const std::uint64_t size = std::filesystem::file_size(file, error);
  std::ifstream stream(file, std::ios::binary);
  const auto read = [&](std::uint64_t count) {
    std::string bytes(count, '\0');
    if (error || !stream.read(bytes.data(), static_cast<std::streamsize>(count)))
      throw Error(ExitCode::Disk, "cannot read " + file.string(),
                  "check that it is there, and its permissions");
    return bytes;
  };
  const std::uint64_t length =
      header_length(read(std::min<std::uint64_t>(size, kLengthBytes)), size);
  return checked(read_header(read(length)), size - kLengthBytes - length, nullptr);
}

}  // namespace perturb
