// From trials that have to run, as paths through a tree, to the stages that carry them out: no
// more steps than what is asked for and not known needs.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <utility>
#include <vector>

#include "perturb/plan/plan.h"
#include "plan/tree.h"

namespace perturb {

/// A wish at a step, by its place in Wishes.
using Wanted = std::pair<Step, std::uint32_t>;

/// What can be wanted of a state: a metric, by its definition; one that compares, together with
/// the variation whose control it compares with.
class Wishes {
 public:
  explicit Wishes(std::vector<Digest> definitions) : definitions_(std::move(definitions)) {}

  const std::vector<Digest>& definitions() const { return definitions_; }
  std::uint32_t of(std::uint32_t definition, std::optional<std::size_t> variation) {
    if (!variation) return definition;
    const auto next = definitions_.size() + compared_.size();
    const auto [entry, is_new] =
        numbers_.try_emplace({definition, *variation}, static_cast<std::uint32_t>(next));
    if (is_new) compared_.emplace_back(definition, *variation);
    return entry->second;
  }
  std::uint32_t definition(std::uint32_t wish) const {
    return compares(wish) ? compared_[wish - definitions_.size()].first : wish;
  }
  bool compares(std::uint32_t wish) const { return wish >= definitions_.size(); }
  bool any_compares() const { return !compared_.empty(); }
  std::size_t variation(std::uint32_t wish) const {
    return compared_[wish - definitions_.size()].second;
  }

 private:
  std::vector<Digest> definitions_;  // each once
  std::vector<std::pair<std::uint32_t, std::size_t>> compared_;
  std::map<std::pair<std::uint32_t, std::size_t>, std::uint32_t> numbers_;
};

/// A trial that is to run.
struct Wanting {
  std::size_t number = 0;
  std::size_t segment = 0;                      ///< at whose end it ends
  std::size_t agenda = 0;                       ///< trials with the same number want the same
  const std::vector<Wanted>* wanted = nullptr;  ///< sorted
  bool runs = true;  ///< otherwise it is known, but for what may have to be compared
  /// Of a trial that diverged: from this step on it has no states.
  std::optional<Step> until;
};

struct Staging {
  const Experiment& experiment;
  const Store& store;
  const Tree& tree;
  const std::vector<Wanting>& trials;  ///< in the order in which they should be answered
  const Wishes& wishes;
  /// The place in `trials` of a variation's control.
  std::function<std::size_t(std::size_t variation)> control;
  /// Whether that control gets as far as that step, or may: it did not diverge before.
  std::function<bool(std::size_t variation, Step step)> reaches;
  bool draws = false;  ///< whether any trial is drawn toward another
};

struct Staged {
  std::vector<Stage> stages;
  std::vector<Adoption> adoptions;
  std::vector<PlannedReference> references;
  /// By place in Staging::trials: where training starts; nothing when all is known of the trial.
  std::vector<std::optional<Step>> from;
};

Staged make_stages(const Staging& staging);

}  // namespace perturb
