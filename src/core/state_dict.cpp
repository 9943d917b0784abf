#include "perturb/core/state_dict.h"

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <optional>
#include <utility>

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "core/pickle.h"
#include "core/zip.h"
#include "perturb/core/error.h"

namespace perturb {
namespace {

using Value = Pickle::Value;
using Kind = Value::Kind;

struct StorageType {
  std::string_view name;  ///< of the class, as a pickle writes it
  std::string_view dtype;
  std::uint64_t bytes;
};
constexpr std::array<StorageType, 9> kStorageTypes{{{"torch FloatStorage", "F32", 4},
                                                    {"torch DoubleStorage", "F64", 8},
                                                    {"torch HalfStorage", "F16", 2},
                                                    {"torch BFloat16Storage", "BF16", 2},
                                                    {"torch LongStorage", "I64", 8},
                                                    {"torch IntStorage", "I32", 4},
                                                    {"torch ShortStorage", "I16", 2},
                                                    {"torch CharStorage", "I8", 1},
                                                    {"torch BoolStorage", "BOOL", 1}}};
constexpr std::string_view kByteStorage = "torch ByteStorage";
constexpr std::string_view kTensor = "torch._utils _rebuild_tensor_v2";
constexpr std::string_view kParameter = "torch._utils _rebuild_parameter";
constexpr std::array<std::string_view, 12> kKnown = {
    kTensor,
    kParameter,
    kByteStorage,
    kStorageTypes[0].name,
    kStorageTypes[1].name,
    kStorageTypes[2].name,
    kStorageTypes[3].name,
    kStorageTypes[4].name,
    kStorageTypes[5].name,
    kStorageTypes[6].name,
    kStorageTypes[7].name,
    kStorageTypes[8].name,
};
constexpr std::size_t kMostPickleBytes = 64 << 20;
constexpr std::size_t kMostDimensions = 64;
constexpr std::size_t kLongestName = 1000;
constexpr std::size_t kLookedInto = 1000;  // entries, and tensors of one, for an advice
/// Tensors may share a storage, as tied weights do, so that together they may be larger than the
/// file; but not without bound.
constexpr std::uint64_t kMostTimesTheFile = 4;
constexpr const char* kSaveAgain = "in Python: torch.save(model.state_dict(), \"weights.pt\")";

[[noreturn]] void refuse(const std::string& what, const std::string& advice = kSaveAgain) {
  throw Error(ExitCode::Usage, what, advice);
}

std::string shown(std::string_view name) {
  constexpr std::size_t kLongest = 80;
  return std::string(name.substr(0, kLongest)) + (name.size() > kLongest ? "..." : "");
}

std::string listed(const std::vector<std::string>& names) {
  constexpr std::size_t kListed = 10;
  const auto end = names.begin() + static_cast<std::ptrdiff_t>(std::min(names.size(), kListed));
  auto text = fmt::format("{}", fmt::join(names.begin(), end, ", "));
  if (names.size() > kListed) text += fmt::format(" and {} more", names.size() - kListed);
  return text;
}

/// What else somebody may take for one.
void check_kind(std::string_view bytes) {
  if (bytes.starts_with("PK")) return;
  if (bytes.starts_with("\x80\x02"))
    refuse("the file is in PyTorch's format of before version 1.6",
           "in Python: torch.save(torch.load(\"old.pt\", map_location=\"cpu\"), \"new.pt\"); then "
           "import new.pt");
  if (bytes.size() > 8 && bytes[8] == '{')
    refuse("the file is not PyTorch's; it looks like safetensors",
           "then [model] weights takes it as it is");
  refuse("the file is not one that torch.save wrote");
}

class Reader {
 public:
  explicit Reader(std::string_view bytes)
      : archive_((check_kind(bytes), bytes)),
        root_(folder()),
        pickle_(pickle_bytes(), kKnown),
        room_(bytes.size() > UINT64_MAX / kMostTimesTheFile ? UINT64_MAX
                                                            : bytes.size() * kMostTimesTheFile) {
    if (const auto* order = member("byteorder"); order && order->bytes != "little")
      refuse("the file was written on a big-endian machine");
  }

  StateDict read(const std::string& entry) {
    const Value& dict = dictionary(entry);
    StateDict out;
    std::vector<std::string> dictionaries;
    for (std::size_t i = 0; i + 1 < dict.items.size(); i += 2) {
      const auto& key = pickle_[dict.items[i]];
      const auto& value = pickle_[dict.items[i + 1]];
      if (key.text.size() > kLongestName) refuse("it has a name of more than 1000 bytes");
      const auto name = key.kind == Kind::Text  ? std::string(key.text)
                        : key.kind == Kind::Int ? std::to_string(key.number)
                                                : std::string("?");
      if (const auto* arguments = tensor_arguments(value)) {
        if (key.kind != Kind::Text) refuse("a tensor has no name but " + name);
        out.tensors.push_back(tensor(name, *arguments, out));
      } else {
        out.others.push_back(name);
        if (out.others.size() <= kLookedInto && has_tensors(value)) dictionaries.push_back(name);
      }
    }
    if (!out.tensors.empty()) return out;
    if (!dictionaries.empty())
      refuse("no tensors are in it, but in its entries " + shown(listed(dictionaries)),
             "name one: --entry " + shown(dictionaries.front()));
    refuse("no tensors are in it");
  }

 private:
  /// "archive/" of "archive/data.pkl", whatever PyTorch called it.
  std::string folder() const {
    for (const auto& [name, member] : archive_.members()) {
      const auto slash = name.find('/');
      if (slash == name.npos) continue;
      if (name.substr(slash) == "/constants.pkl")
        refuse("the file is a TorchScript program, not a state_dict",
               "in Python: torch.save(torch.jit.load(\"old.pt\").state_dict(), \"weights.pt\")");
    }
    for (const auto& [name, member] : archive_.members()) {
      const auto slash = name.find('/');
      if (slash != name.npos && name.substr(slash) == "/data.pkl") return name.substr(0, slash + 1);
    }
    refuse("the file is a zip archive, but none that torch.save wrote");
  }
  const ZipArchive::Member* member(const std::string& name) const {
    const auto found = archive_.members().find(root_ + name);
    return found == archive_.members().end() ? nullptr : &found->second;
  }
  std::string_view pickle_bytes() {
    const auto bytes = archive_.content(root_ + "data.pkl");
    if (bytes.size() > kMostPickleBytes) refuse("its data.pkl has more than 64 MiB");
    return bytes;
  }

  const Value& dictionary(const std::string& entry) const {
    const Value& root = pickle_.root();
    if (root.kind != Kind::Dict) refuse("what was saved is no dictionary");
    if (entry.empty()) return root;
    const auto* inner = pickle_.find(root, entry);
    if (inner && inner->kind == Kind::Dict) return *inner;
    std::vector<std::string> names;
    for (std::size_t i = 0; i + 1 < root.items.size(); i += 2)
      names.push_back(shown(pickle_[root.items[i]].text));
    refuse(fmt::format("there is no dictionary \"{}\" in it", entry),
           "its entries are " + listed(names));
  }

  /// Of what makes a tensor; null for everything else.
  const Value* tensor_arguments(const Value& value) const {
    if (value.kind != Kind::Call) return nullptr;
    const auto* arguments = &pickle_[value.items[1]];
    const auto name = pickle_[value.items[0]].text;
    if (name == kTensor) return arguments;
    if (name != kParameter || arguments->items.empty()) return nullptr;
    const auto& inner = pickle_[arguments->items[0]];
    if (inner.kind != Kind::Call || pickle_[inner.items[0]].text != kTensor) return nullptr;
    return &pickle_[inner.items[1]];
  }
  bool has_tensors(const Value& value) const {
    if (value.kind != Kind::Dict) return false;
    for (std::size_t i = 0; i + 1 < std::min(value.items.size(), kLookedInto); i += 2)
      if (tensor_arguments(pickle_[value.items[i + 1]])) return true;
    return false;
  }

  using Extents = std::vector<std::uint64_t>;
  /// The numbers of a tuple, none of them negative; nothing for anything else.
  std::optional<Extents> extents(const Value& value) const {
    if (value.kind != Kind::Tuple || value.items.size() > kMostDimensions) return std::nullopt;
    Extents out;
    for (const auto place : value.items) {
      const auto& item = pickle_[place];
      if (item.kind != Kind::Int || item.number < 0) return std::nullopt;
      out.push_back(static_cast<std::uint64_t>(item.number));
    }
    return out;
  }

  struct Storage {
    StorageType type;
    std::string_view bytes;
  };
  /// ("storage", class, key, device, elements).
  Storage storage(const std::string& name, const Value& value) {
    const auto wrong = [&]() { refuse(shown(name) + " has no storage that can be read"); };
    if (value.kind != Kind::Persistent) wrong();
    const auto& id = pickle_[value.items[0]];
    if (id.kind != Kind::Tuple || id.items.size() != 5) wrong();
    const auto& type_name = pickle_[id.items[1]];
    const auto& key = pickle_[id.items[2]];
    const auto& elements = pickle_[id.items[4]];
    if (pickle_[id.items[0]].text != "storage" || type_name.kind != Kind::Global ||
        key.kind != Kind::Text || elements.kind != Kind::Int || elements.number < 0)
      wrong();
    StorageType type{kByteStorage, "U8", 1};
    for (const auto& one : kStorageTypes)
      if (one.name == type_name.text) type = one;
    if (type.name != type_name.text) wrong();
    const auto bytes = archive_.content(root_ + "data/" + std::string(key.text));
    if (bytes.size() % type.bytes != 0 ||
        bytes.size() / type.bytes != static_cast<std::uint64_t>(elements.number))
      refuse(shown(name) + " has a storage of another size than it says");
    return {type, bytes};
  }

  /// (storage, offset, shape, strides, ...).
  StoredTensor tensor(const std::string& name, const Value& arguments, StateDict& out) {
    const auto wrong = [&](const char* why) { refuse(shown(name) + " " + why); };
    if (arguments.items.size() < 4) wrong("is no tensor");
    const auto stored = storage(name, pickle_[arguments.items[0]]);
    const auto& offset = pickle_[arguments.items[1]];
    const auto shape = extents(pickle_[arguments.items[2]]);
    const auto strides = extents(pickle_[arguments.items[3]]);
    if (offset.kind != Kind::Int || offset.number < 0 || !shape || !strides ||
        shape->size() != strides->size())
      wrong("has a shape or strides that are none");

    // How many elements there are, the last one's place, and whether they lie one after the other.
    const auto first = static_cast<std::uint64_t>(offset.number);
    std::uint64_t bytes = stored.type.bytes, last = first, expected = 1;
    bool in_order = true, empty = false, too_far = false;
    for (std::size_t i = shape->size(); i-- > 0;) {
      const auto extent = (*shape)[i], stride = (*strides)[i];
      std::uint64_t reach = 0;
      if (extent == 0) {
        empty = true;
        continue;
      }
      if (__builtin_mul_overflow(bytes, extent, &bytes)) wrong("is larger than any file");
      too_far = too_far || __builtin_mul_overflow(extent - 1, stride, &reach) ||
                __builtin_add_overflow(last, reach, &last);
      in_order = in_order && (extent == 1 || stride == expected);
      expected *= extent;
    }
    StoredTensor result{name, std::string(stored.type.dtype), {shape->begin(), shape->end()}, {}};
    if (empty) return result;
    if (too_far || last >= stored.bytes.size() / stored.type.bytes)
      wrong("reaches beyond the end of its storage");
    if (bytes > room_) wrong("would make the tensors much larger than the file");
    room_ -= bytes;
    if (in_order) {
      result.bytes = stored.bytes.substr(first * stored.type.bytes, bytes);
    } else {
      out.copies.push_back(in_rows(stored, first, *shape, *strides, bytes));
      result.bytes = out.copies.back();
    }
    return result;
  }

  /// The elements row by row.
  static std::string in_rows(const Storage& stored, std::uint64_t first, const Extents& shape,
                             const Extents& strides, std::uint64_t bytes) {
    const auto size = stored.type.bytes;
    std::string rows(bytes, '\0');
    Extents index(shape.size(), 0);
    auto at = first;
    for (std::uint64_t to = 0; to < bytes; to += size) {
      std::memcpy(rows.data() + to, stored.bytes.data() + at * size, size);
      for (std::size_t i = shape.size(); i-- > 0;) {
        at += strides[i];
        if (++index[i] < shape[i]) break;
        at -= strides[i] * shape[i];
        index[i] = 0;
      }
    }
    return rows;
  }

  ZipArchive archive_;
  std::string root_;
  Pickle pickle_;
  std::uint64_t room_;  // bytes that tensors may still have
};

}  // namespace

StateDict read_state_dict(std::string_view bytes, const std::string& entry) {
  return Reader(bytes).read(entry);
}

}  // namespace perturb
