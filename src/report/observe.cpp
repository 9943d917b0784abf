#include <algorithm>
#include <limits>
#include <map>
#include <set>
#include <unordered_map>

#include <fmt/format.h>

#include "perturb/report/summary.h"

namespace perturb {

namespace {

/// SQLite takes a million characters a statement; a digest is 68 of them.
constexpr std::size_t kTrialsAQuery = 4'000;
/// Beyond this many different steps it is faster to look at all that a trial has.
constexpr std::size_t kMostSteps = 1'000;

std::string blob(const Digest& digest) { return "x'" + digest.hex() + "'"; }

const std::string& text(const Cell& cell) { return std::get<std::string>(cell); }
std::int64_t integer(const Cell& cell, std::int64_t otherwise) {
  const auto* value = std::get_if<std::int64_t>(&cell);
  return value ? *value : otherwise;
}

Standing standing(const std::string& outcome, Step step, Step done, Step end) {
  // A trial that was carried on beyond what is asked here and failed there did not fail here.
  if (done >= end || (outcome != name_of(Outcome::Interrupted) && step > end))
    return Standing::Done;
  switch (outcome_from(outcome)) {
    case Outcome::Done:
    case Outcome::Interrupted:
      return Standing::Missing;
    case Outcome::Diverged:
      return Standing::Diverged;
    default:
      return Standing::Failed;
  }
}

/// A metric and where its last value in a run of given length is.
class LastStep {
 public:
  explicit LastStep(const MetricSpec& metric) : every_(&metric.every) {}

  /// -1: it is not measured at all in so short a run.
  Step of(Step end) const {
    if (every_->kind != Every::Kind::Listed) return end;
    Step last = -1;
    for (const Step step : every_->steps) {
      if (step <= end) last = std::max(last, step);
    }
    return last;
  }

 private:
  const Every* every_;
};

class Observer {
 public:
  Observer(const Experiment& experiment, const Store& store, const std::vector<Digest>& trials,
           const std::vector<Step>& ends)
      : store_(store), trials_(trials), ends_(ends), observations_(trials.size()) {
    for (std::size_t number = 0; number < trials.size(); ++number) {
      observations_[number].trial = trials[number];
      numbers_[trials[number]].push_back(number);
    }
    for (const MetricSpec& metric : experiment.metrics()) {
      if (metric.every.kind != Every::Kind::Never) specs_.try_emplace(metric.label, &metric);
    }
  }

  std::vector<Observation> finish(const std::vector<std::string>& metrics) {
    for (Observation& observation : observations_)
      observation.values.assign(metrics.size(), std::numeric_limits<double>::quiet_NaN());
    find_metrics(metrics);
    for (std::size_t begin = 0; begin < trials_.size(); begin += kTrialsAQuery) {
      rows_.clear();
      outcomes(begin, std::min(begin + kTrialsAQuery, trials_.size()));
      if (!rows_.empty() && !metrics_.empty()) values();
    }
    return std::move(observations_);
  }

 private:
  using Row = std::vector<Cell>;
  struct Wanted {
    std::size_t place = 0;  ///< in Observation::values
    LastStep last;
  };

  void each(const std::string& sql, const std::function<void(const Row&)>& use) const {
    store_.query(sql, {},
                 {.columns = [](const std::vector<std::string>&) {},
                  .row =
                      [&](const Row& row) {
                        use(row);
                        return true;
                      }});
  }

  void find_metrics(const std::vector<std::string>& labels) {
    for (std::size_t place = 0; place < labels.size(); ++place) {
      const MetricSpec& spec = *specs_.at(labels[place]);
      each("SELECT id FROM metrics WHERE digest = " + blob(spec.definition()), [&](const Row& row) {
        metrics_.emplace(integer(row[0], 0), Wanted{place, LastStep(spec)});
      });
      for (const Step end : std::set<Step>(ends_.begin(), ends_.end()))
        steps_.insert(LastStep(spec).of(end));
    }
  }

  // Tables, not the view `results`: that one shows members of an experiment as declared last,
  // and what is asked for here may have been left out by the latest run's overrides.

  void outcomes(std::size_t begin, std::size_t end) {
    std::string list;
    for (std::size_t i = begin; i < end; ++i) list += (list.empty() ? "" : ",") + blob(trials_[i]);
    each(
        "SELECT id, digest, outcome, step, done FROM all_trials WHERE outcome IS NOT NULL AND "
        "digest IN (" +
            list + ")",
        [&](const Row& row) {
          const auto& numbers = numbers_.at(*Digest::from_hex(text(row[1])));
          rows_.emplace(integer(row[0], 0), &numbers);
          for (const std::size_t number : numbers) {
            observations_[number].standing =
                standing(text(row[2]), integer(row[3], 0), integer(row[4], -1), ends_[number]);
          }
        });
  }

  void values() {
    std::vector<std::int64_t> metrics;
    for (const auto& [id, wanted] : metrics_) metrics.push_back(id);
    std::vector<std::int64_t> trials;
    for (const auto& [id, numbers] : rows_) trials.push_back(id);
    std::string when;
    if (steps_.size() <= kMostSteps)
      when = fmt::format(" AND s.step IN ({})", fmt::join(steps_, ","));
    each(fmt::format("SELECT s.trial, s.step, v.metric, v.value "
                     "FROM trial_states AS s CROSS JOIN measurements AS v "
                     "WHERE s.trial IN ({}){} AND v.state = s.state AND v.metric IN ({})",
                     fmt::join(trials, ","), when, fmt::join(metrics, ",")),
         [&](const Row& row) {
           const auto* value = std::get_if<double>(&row[3]);  // null is NaN
           const Wanted& wanted = metrics_.at(integer(row[2], 0));
           for (const std::size_t number : *rows_.at(integer(row[0], 0))) {
             if (value && integer(row[1], -1) == wanted.last.of(ends_[number]))
               observations_[number].values[wanted.place] = *value;
           }
         });
  }

  const Store& store_;
  const std::vector<Digest>& trials_;
  const std::vector<Step>& ends_;
  std::vector<Observation> observations_;
  std::unordered_map<Digest, std::vector<std::size_t>> numbers_;
  std::map<std::string, const MetricSpec*> specs_;
  std::map<std::int64_t, Wanted> metrics_;  // by their row in the store
  std::set<Step> steps_;                    // at which one of them is wanted
  /// Trials of the part that is being read, by their row in the store.
  std::unordered_map<std::int64_t, const std::vector<std::size_t>*> rows_;
};

}  // namespace

std::vector<Observation> observe(const Experiment& experiment, const Store& store,
                                 const std::vector<Digest>& trials, const std::vector<Step>& ends,
                                 const std::vector<std::string>& metrics) {
  return Observer(experiment, store, trials, ends).finish(metrics);
}

}  // namespace perturb
