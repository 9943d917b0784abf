// What a pickle says, as a tree of values. A pickle is a program for a stack machine that may call
// anything; here nothing is ever called: a call is a node that says what would be. Which names may
// occur at all, whoever reads says beforehand.
//
// Protocols 2 to 5 (https://github.com/python/cpython/blob/main/Lib/pickletools.py), without what
// dictionaries of tensors have no use for: then the pickle is refused.
#pragma once

#include <cstdint>
#include <span>
#include <string_view>
#include <vector>

namespace perturb {

class Pickle {
 public:
  /// The place of a value in the tree. Values may be part of several others, and even of
  /// themselves.
  using Place = std::uint32_t;

  struct Value {
    enum class Kind {
      None,
      Bool,
      Int,  ///< `number`
      Float,
      Text,        ///< `text`
      Tuple,       ///< `items`
      List,        ///< `items`
      Dict,        ///< `items`: key, value, key, value, ...; also collections.OrderedDict
      Global,      ///< `text`: "module name", separated by one space
      Persistent,  ///< `items`: what it is known by outside the pickle, a single value
      Call,        ///< `items`: a Global and the Tuple of its arguments
    };
    Kind kind = Kind::None;
    std::int64_t number = 0;
    std::string_view text;  ///< of the bytes that were read, or of the names that are known
    std::vector<Place> items;
  };

  /// `known`: names that may occur, "module name"; they outlive the pickle, as `bytes` do. Throws
  /// Error(Usage) for a pickle that names others, is damaged, or takes more than two million steps.
  Pickle(std::string_view bytes, std::span<const std::string_view> known);

  const Value& root() const { return (*this)[root_]; }
  const Value& operator[](Place place) const { return values_[place]; }
  /// The value of a key of a Dict, the last one; null when there is none.
  const Value* find(const Value& dict, std::string_view key) const;

 private:
  class Machine;
  std::vector<Value> values_;
  Place root_ = 0;
};

}  // namespace perturb
