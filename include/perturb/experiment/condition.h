// The condition of a trial: every field of its sections with its value, defaults filled in.
// A flat, ordered map from path to value; sections exist only as the first word of a path.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "perturb/core/value.h"

namespace perturb {

/// Copies share their paths: a grid of 100,000 conditions differs in values only.
class Condition {
 public:
  class Iterator {
   public:
    std::pair<const std::string&, const Value&> operator*() const {
      return {(*condition_->paths_)[at_], condition_->values_[at_]};
    }
    Iterator& operator++() {
      ++at_;
      return *this;
    }
    bool operator==(const Iterator&) const = default;

   private:
    friend class Condition;
    Iterator(const Condition* condition, std::size_t at) : condition_(condition), at_(at) {}
    const Condition* condition_;
    std::size_t at_;
  };

  bool has(std::string_view path) const { return find(path) != nullptr; }
  /// Null when the path is absent.
  const Value* find(std::string_view path) const;
  /// The value at a path such as "optimizer.lr". An absent path is a bug of the caller's,
  /// since a resolved condition is complete; it throws std::out_of_range.
  const Value& at(std::string_view path) const;
  std::int64_t integer(std::string_view path) const { return at(path).as_int(); }
  double number(std::string_view path) const { return at(path).as_float(); }
  const std::string& text(std::string_view path) const { return at(path).as_string(); }
  bool flag(std::string_view path) const { return at(path).as_bool(); }

  void set(std::string_view path, Value value);
  void erase(std::string_view path);

  /// In path order.
  Iterator begin() const { return {this, 0}; }
  Iterator end() const { return {this, values_.size()}; }

  bool operator==(const Condition& other) const;
  bool same_paths(const Condition& other) const;

 private:
  std::size_t place_of(std::string_view path) const;
  std::shared_ptr<const std::vector<std::string>> paths_ =
      std::make_shared<const std::vector<std::string>>();
  std::vector<Value> values_;
};

/// { "optimizer.lr": 0.05, ... } in path order.
std::string to_json(const Condition& condition);

}  // namespace perturb
