// How the store's tables answer for the members of an experiment: which rows are theirs, and the
// values of metrics at the states that they go through. What is made of them is others' business.
//
// Tables, not the view `results`: that one shows members of an experiment as declared last, and
// what is asked for here may have been left out by the latest run's overrides.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <span>
#include <string>
#include <unordered_map>
#include <vector>

#include "perturb/core/digest.h"
#include "perturb/experiment/experiment.h"
#include "perturb/store/store.h"

namespace perturb {

class StoredValues {
 public:
  /// `metrics` are places in Experiment::metrics(), of which some may be the same. All but
  /// `metrics` must outlive this.
  StoredValues(const Experiment& experiment, const Store& store, const std::vector<Digest>& trials,
               std::vector<std::size_t> metrics);

  /// The first member of every distinct trial.
  std::vector<std::size_t> distinct() const;

  /// A trial as the store has it.
  struct Row {
    std::int64_t id = 0;
    const std::vector<std::size_t>* numbers = nullptr;  ///< members that are this trial
    std::string outcome;                                ///< empty: there is none yet
    Step step = 0;                                      ///< how far the latest attempt came
    Step done = -1;                                     ///< the furthest that was done; -1: none
  };
  /// Those that the store knows of; at most kMost at a time.
  std::vector<Row> rows(std::span<const std::size_t> numbers) const;
  /// SQLite takes a million characters a statement; a digest is 68 of them.
  static constexpr std::size_t kMost = 4'000;
  /// Calls `use` with parts of the numbers that are not too long for `rows`.
  template <class Use>
  static void in_parts(std::span<const std::size_t> numbers, const Use& use) {
    for (std::size_t begin = 0; begin < numbers.size(); begin += kMost)
      use(numbers.subspan(begin, std::min(kMost, numbers.size() - begin)));
  }

  /// A value of a member.
  struct Value {
    std::size_t number = 0;
    std::size_t metric = 0;  ///< in the list that was given
    Step step = 0;
    double epoch = 0;
    double value = 0;
  };
  /// The values of these trials, each trial's by step. What was compared with another state than
  /// the experiment means is left out, what it does not ask for is not. `when`: nothing, or
  /// " AND ..." about s.step and s.epoch: a trial may have thousands of states, of which one is
  /// wanted.
  void values(const std::vector<Row>& rows, const std::string& when,
              const std::function<void(const Value&)>& use) const;

 private:
  using Cells = std::vector<Cell>;
  void each(const std::string& sql, const std::function<void(const Cells&)>& use) const;
  const MetricSpec& spec(std::size_t metric) const {
    return experiment_.metrics()[metrics_[metric]];
  }
  void find_metrics();
  void find_references();
  std::optional<Digest> other_trial(std::size_t metric, std::size_t variation) const;
  bool is_meant(std::size_t number, std::size_t metric, double epoch, std::int64_t reference) const;

  const Experiment& experiment_;
  const Store& store_;
  const std::vector<Digest>& trials_;
  std::vector<std::size_t> metrics_;
  std::unordered_map<Digest, std::vector<std::size_t>> numbers_;
  std::map<std::int64_t, std::vector<std::size_t>> places_;  // row of the metric -> of metrics_
  /// States of the trials that others are compared with, by epoch.
  std::unordered_map<Digest, std::map<double, std::int64_t>> states_;
};

}  // namespace perturb
