// Trials for tests, declared the way a user would.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "perturb/builtin/builtins.h"
#include "perturb/catalog/catalog.h"
#include "perturb/catalog/data_files.h"
#include "perturb/core/progress.h"
#include "perturb/experiment/experiment.h"
#include "perturb/train/dataset.h"
#include "perturb/train/session.h"

namespace perturb {

/// Everything built in.
const Registries& builtins();

Experiment declared(const std::string& toml, const std::vector<std::string>& overrides = {});

/// A small network on generated data, 20 steps an epoch, 2 epochs, SGD with momentum 0.9.
/// `more` is TOML that follows: it may add sections, and "optimizer.kind" replaces the optimizer.
std::string small_trial(const std::string& more = "");

/// The whole data set of a condition; not cut to `train_examples`.
Dataset data_of(const Condition& condition);

/// One trial with what it needs, ready to be carried out.
struct Declared {
  explicit Declared(const std::string& toml, std::size_t number = 0,
                    const std::vector<std::string>& overrides = {})
      : assignment(declared(toml, overrides).assignment(number)),
        data(data_of(assignment.trial.condition)) {}

  Record carry_out(const Registries& registries = builtins()) const {
    Progress progress;
    return perturb::carry_out(assignment, progress, means(registries));
  }
  /// In memory alone, nothing reported.
  Means means(const Registries& registries = builtins()) const {
    return {.registries = registries, .data = std::make_shared<const Dataset>(data)};
  }
  /// The parameters at step `end`.
  at::Tensor parameters(Step end) const {
    Progress progress;
    Session session(assignment, builtins(), data);
    session.advance(end, progress);
    return session.state().parameters().clone();
  }

  Assignment assignment;
  Dataset data;
};

}  // namespace perturb
