// Things that can be made by name: name -> factory. Filled by explicit calls, because static
// initialisers vanish from static libraries. What the things are for the user, their help and
// parameters, stands in the catalog under the same names.
#pragma once

#include <map>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "perturb/core/error.h"

namespace perturb {

template <class Factory>
class Registry {
 public:
  /// `family` is for messages: "model".
  explicit Registry(std::string family) : family_(std::move(family)) {}

  void add(std::string name, Factory factory) {
    if (factories_.contains(name)) {
      throw Error(ExitCode::Bug, "there are two factories of the " + family_ + " " + name);
    }
    factories_.emplace(std::move(name), std::move(factory));
  }

  /// Validation admits only names of the catalog, so that an absent one is our own bug.
  const Factory& at(std::string_view name) const {
    const auto found = factories_.find(name);
    if (found == factories_.end()) {
      throw Error(ExitCode::Bug, "no factory makes the " + family_ + " " + std::string(name));
    }
    return found->second;
  }

  std::vector<std::string> names() const {
    std::vector<std::string> names;
    for (const auto& [name, factory] : factories_) names.push_back(name);
    return names;
  }

 private:
  std::string family_;
  std::map<std::string, Factory, std::less<>> factories_;
};

}  // namespace perturb
