// Collects what is wrong with an experiment while it is read, so that all of it is reported
// at once. The same complaint about the same place is kept once.
#pragma once

#include <algorithm>
#include <string>
#include <utility>
#include <vector>

#include "perturb/core/diagnostic.h"

namespace perturb {

class Problems {
 public:
  void error(const Place& place, std::string message, std::string advice = {}) {
    add({place, std::move(message), std::move(advice), false});
  }
  void warning(const Place& place, std::string message, std::string advice = {}) {
    add({place, std::move(message), std::move(advice), true});
  }

  bool any() const { return !errors.empty(); }
  std::vector<Diagnostic> errors;
  std::vector<Diagnostic> warnings;

 private:
  void add(Diagnostic d) {
    auto& list = d.warning ? warnings : errors;
    const bool known = std::any_of(list.begin(), list.end(), [&](const Diagnostic& other) {
      return other.place.source == d.place.source && other.place.line == d.place.line &&
             other.place.column == d.place.column && other.message == d.message;
    });
    // A file with ten thousand mistakes has one cause; the first hundred show it.
    if (!known && list.size() < 100) list.push_back(std::move(d));
  }
};

/// `did you mean "optimizer.lr"?`, or the candidates if they are few, or nothing.
std::string suggestion(std::string_view word, const std::vector<std::string>& candidates);

}  // namespace perturb
