#include "perturb/experiment/condition.h"

#include <algorithm>
#include <stdexcept>

namespace perturb {

std::size_t Condition::place_of(std::string_view path) const {
  return static_cast<std::size_t>(std::lower_bound(paths_->begin(), paths_->end(), path) -
                                  paths_->begin());
}

const Value* Condition::find(std::string_view path) const {
  const auto i = place_of(path);
  return i < paths_->size() && (*paths_)[i] == path ? &values_[i] : nullptr;
}

const Value& Condition::at(std::string_view path) const {
  if (const auto* value = find(path)) return *value;
  throw std::out_of_range("no field " + std::string(path));
}

void Condition::set(std::string_view path, Value value) {
  const auto i = place_of(path);
  const auto offset = static_cast<std::ptrdiff_t>(i);
  if (i < paths_->size() && (*paths_)[i] == path) {
    values_[i] = std::move(value);
    return;
  }
  auto paths = *paths_;
  paths.insert(paths.begin() + offset, std::string(path));
  paths_ = std::make_shared<const std::vector<std::string>>(std::move(paths));
  values_.insert(values_.begin() + offset, std::move(value));
}

void Condition::erase(std::string_view path) {
  const auto i = place_of(path);
  if (i == paths_->size() || (*paths_)[i] != path) return;
  auto paths = *paths_;
  paths.erase(paths.begin() + static_cast<std::ptrdiff_t>(i));
  paths_ = std::make_shared<const std::vector<std::string>>(std::move(paths));
  values_.erase(values_.begin() + static_cast<std::ptrdiff_t>(i));
}

bool Condition::same_paths(const Condition& other) const {
  return paths_ == other.paths_ || *paths_ == *other.paths_;
}

bool Condition::operator==(const Condition& other) const {
  return same_paths(other) && values_ == other.values_;
}

std::string to_json(const Condition& condition) {
  std::string text = "{";
  for (const auto& [path, value] : condition) {
    if (text.size() > 1) text += ", ";
    text += to_json(Value(path)) + ": " + to_json(value);
  }
  return text + "}";
}

}  // namespace perturb
