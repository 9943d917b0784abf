// A typed value of a condition: what a field of an experiment is once its text has been read
// and its type is known. Not JSON and not TOML; those are ways to write one down.
#pragma once

#include <cstdint>
#include <string>
#include <variant>
#include <vector>

namespace perturb {

struct Value;
using List = std::vector<Value>;

struct Value {
  std::variant<bool, std::int64_t, double, std::string, List> data;

  Value() : data(false) {}
  Value(bool v) : data(v) {}
  Value(int v) : data(std::int64_t{v}) {}
  Value(std::int64_t v) : data(v) {}
  Value(double v) : data(v) {}
  Value(const char* v) : data(std::string(v)) {}
  Value(std::string v) : data(std::move(v)) {}
  Value(List v) : data(std::move(v)) {}

  bool operator==(const Value&) const = default;

  bool is_bool() const { return std::holds_alternative<bool>(data); }
  bool is_int() const { return std::holds_alternative<std::int64_t>(data); }
  bool is_float() const { return std::holds_alternative<double>(data); }
  bool is_number() const { return is_int() || is_float(); }
  bool is_string() const { return std::holds_alternative<std::string>(data); }
  bool is_list() const { return std::holds_alternative<List>(data); }

  /// These throw std::bad_variant_access on another type: validation comes first.
  bool as_bool() const { return std::get<bool>(data); }
  std::int64_t as_int() const { return std::get<std::int64_t>(data); }
  /// An integer counts as a number.
  double as_float() const {
    return is_int() ? static_cast<double>(as_int()) : std::get<double>(data);
  }
  const std::string& as_string() const { return std::get<std::string>(data); }
  const List& as_list() const { return std::get<List>(data); }
};

/// The one text of a value that identity is made of: type and value, the shortest digits
/// that read back to the same double, -0 as 0. Injective.
std::string canonical(const Value& value);

/// The value as people read it, in TOML's notation but without quotes: 0.05, sgd, [64, 10].
std::string display(const Value& value);

/// The value as JSON text.
std::string to_json(const Value& value);

}  // namespace perturb
