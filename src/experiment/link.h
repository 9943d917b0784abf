// A reference to another experiment, resolved: which of its controls is meant, or which are, and at
// which step.
#pragma once

#include <cstddef>
#include <filesystem>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <utility>
#include <vector>

#include "perturb/core/value.h"
#include "perturb/experiment/experiment.h"

namespace perturb {

class Link {
 public:
  /// The file that a value of Type::Reference names.
  static std::filesystem::path file_of(const std::string& reference);

  /// The reference that [data] makes in three fields.
  static std::string reference_of(const std::string& file, const std::string& at,
                                  const std::string& select);

  /// `other`: the experiment's place in Experiment::others().
  Link(const std::string& reference, std::size_t other,
       std::shared_ptr<const Experiment> experiment);

  const Experiment& experiment() const { return *experiment_; }
  /// "pretrain", "pretrain(after 3 epochs, optimizer.lr=0.1)".
  std::string text() const;

  /// What is wrong with the selection whatever is matched; the message empty if nothing is.
  std::pair<std::string, std::string> wrong_selection() const;

  /// The variation that has, in what varies there, the selected values, and for the rest those of
  /// `own`. Nothing when there is none.
  std::optional<std::size_t> variation(const Condition& own) const;
  /// Of a condition that nothing matches: the values that were looked for, and what there is.
  std::pair<std::string, std::string> no_match(const Condition& own) const;

  /// All variations that have what is selected, in order. A list leaves those that have one of its
  /// values, and what is not selected leaves all.
  std::vector<std::size_t> selected() const;
  /// Of a selection that leaves none, or has a value that nothing has; the message empty otherwise.
  std::pair<std::string, std::string> wrong_values() const;

  /// Whether a network is meant that the state generates, instead of the state.
  bool generated() const { return generated_; }

  /// The state of that variation's control which is meant.
  Predecessor predecessor(std::size_t variation) const;

 private:
  /// What varies there, as it is looked for: selected, or as `own` has it; null where neither does.
  std::vector<const Value*> wanted(const Condition& own) const;
  /// The levels of one path that there are, in file order.
  std::vector<Value> levels(const std::string& path) const;
  /// The same for people; `wanted` is one that is not among them.
  std::string levels_text(const std::string& path, const Value* wanted) const;
  static std::string key_of(const std::vector<const Value*>& values);
  Step step_of(const Trial& control) const;

  std::size_t other_;
  std::shared_ptr<const Experiment> experiment_;
  std::optional<Step> step_;            ///< said so
  std::optional<std::int64_t> epochs_;  ///< said so; neither: at the end
  bool generated_ = false;
  std::map<std::string, Value> select_;
  std::vector<std::string> varied_;
  std::unordered_map<std::string, std::size_t> places_;  ///< variations by the values of varied_
  mutable std::mutex mutex_;
  mutable std::unordered_map<std::size_t, Predecessor> known_;  ///< by variation
};

}  // namespace perturb
