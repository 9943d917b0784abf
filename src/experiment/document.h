// A TOML text as a tree that remembers where everything stood, in file order. Knows nothing
// of what the keys mean. toml++ stays behind it.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "perturb/core/diagnostic.h"

namespace perturb {

struct Entry;

struct Node {
  enum class Kind {
    Bool,
    Int,
    Float,
    String,
    Array,
    Table,
    Date,  ///< dates and times: TOML has them, no parameter takes them
  };
  Kind kind = Kind::Table;
  Place place;
  bool boolean = false;
  std::int64_t integer = 0;
  double number = 0;
  std::string text;
  std::vector<Node> items;     ///< of an array
  std::vector<Entry> entries;  ///< of a table, in file order

  bool is_number() const { return kind == Kind::Int || kind == Kind::Float; }
  const Node* find(std::string_view key) const;
};

struct Entry {
  std::string key;
  Place place;
  Node value;
};

/// "a string", "a table", ...: for messages.
std::string_view name_of(Node::Kind kind);

/// Parses; what is wrong goes to `diagnostics` and the answer is then an empty table. Texts
/// over 1 MiB, keys of more than 32 parts and nesting over 32 are refused before parsing.
Node parse_toml(const std::shared_ptr<const Source>& source, std::vector<Diagnostic>& diagnostics);

/// `path=value` or `path=a,b,c` as on the command line.
struct Override {
  std::string path;
  Place place;               ///< of the path
  std::vector<Node> values;  ///< at least one
};
/// A value is read as TOML; what is not TOML is a string, so that `model.kind=mlp` needs no quotes.
Override parse_override(const std::string& text, std::vector<Diagnostic>& diagnostics);

/// What to say of a text over kFileLimit.
Diagnostic too_large(const Place& place);

inline constexpr std::size_t kFileLimit = 1 << 20;  ///< bytes of an experiment file

}  // namespace perturb
