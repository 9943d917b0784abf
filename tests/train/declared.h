// Trials for tests, declared the way a user would.
#pragma once

#include <memory>
#include <string>

#include "perturb/builtin/builtins.h"
#include "perturb/catalog/catalog.h"
#include "perturb/catalog/data_files.h"
#include "perturb/core/progress.h"
#include "perturb/experiment/experiment.h"
#include "perturb/train/dataset.h"
#include "perturb/train/session.h"

namespace perturb {

inline const Registries& builtins() {
  static const Registries registries = [] {
    Registries all;
    add_builtins(all);
    return all;
  }();
  return registries;
}

inline Experiment declared(const std::string& toml) {
  return Experiment::parse({"test.toml", toml}, ".", {}, builtin_schema(),
                           [](const Condition& condition) { return facts(condition, {}); });
}

/// A small network on generated data: 20 steps an epoch. `more` may set keys of the sections
/// that are left open, and adds sections.
inline std::string small_trial(const std::string& more = "") {
  return R"(
    name = "small"
    task.kind = "classification"
    model = { kind = "mlp", hidden = [8] }
    data = { kind = "gaussian-blobs", examples = 320, test_examples = 100, batch_size = 16 }
    train.epochs = 2
  )" + (more.find("optimizer.kind") == std::string::npos
            ? std::string("optimizer = { kind = \"sgd\", lr = 0.05, momentum = 0.9 }\n")
            : std::string()) +
         more;
}

inline Dataset data_of(const Condition& condition) {
  return builtins().data_sets.at(condition.text("data.kind"))(condition, data_folders({}));
}

/// One trial with what it needs, ready to be carried out.
struct Declared {
  explicit Declared(const std::string& toml, std::size_t number = 0)
      : assignment(declared(toml).assignment(number)), data(data_of(assignment.trial.condition)) {}

  Record carry_out() {
    Progress progress;
    return perturb::carry_out(assignment, builtins(), data, progress);
  }
  /// The parameters at step `end`.
  at::Tensor parameters(Step end) {
    Progress progress;
    Session session(assignment, builtins(), data);
    session.advance(end, progress);
    return session.state().parameters().clone();
  }

  Assignment assignment;
  Dataset data;
};

}  // namespace perturb
