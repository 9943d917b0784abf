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
  explicit LastStep(const MetricSpec& metric) : every_(metric.every) {}

  /// -1: it is not measured at all in so short a run.
  Step of(Step end) const {
    if (every_.kind != Every::Kind::Listed) return end;
    Step last = -1;
    for (const Step step : every_.steps) {
      if (step <= end) last = std::max(last, step);
    }
    return last;
  }

 private:
  const Every& every_;
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
    for (std::size_t begin = 0; begin < trials_.size(); begin += kTrialsAQuery) {
      const std::size_t end = std::min(begin + kTrialsAQuery, trials_.size());
      std::string list;
      for (std::size_t i = begin; i < end; ++i)
        list += (list.empty() ? "" : ",") + blob(trials_[i]);
      outcomes(list);
      for (std::size_t metric = 0; metric < metrics.size(); ++metric)
        values(list, *specs_.at(metrics[metric]), metric);
    }
    return std::move(observations_);
  }

 private:
  using Row = std::vector<Cell>;

  void each(const std::string& sql, const std::function<void(const Row&)>& use) const {
    store_.query(sql, {},
                 {.columns = [](const std::vector<std::string>&) {},
                  .row =
                      [&](const Row& row) {
                        use(row);
                        return true;
                      }});
  }

  const std::vector<std::size_t>& numbers(const Cell& digest) const {
    return numbers_.at(*Digest::from_hex(text(digest)));
  }

  void outcomes(const std::string& list) {
    each(
        "SELECT digest, outcome, step, done FROM all_trials WHERE outcome IS NOT NULL AND digest "
        "IN (" +
            list + ")",
        [&](const Row& row) {
          for (const std::size_t number : numbers(row[0])) {
            observations_[number].standing =
                standing(text(row[1]), integer(row[2], 0), integer(row[3], -1), ends_[number]);
          }
        });
  }

  void values(const std::string& list, const MetricSpec& spec, std::size_t metric) {
    const LastStep last(spec);
    std::set<Step> steps;
    for (const Step end : ends_) steps.insert(last.of(end));
    std::string wanted;
    if (steps.size() <= kMostSteps)
      wanted = fmt::format(" AND s.step IN ({})", fmt::join(steps, ","));
    // Tables, not the view `results`: that one shows members of an experiment as declared last,
    // and what is asked for here may have been left out by the latest run's overrides.
    each(fmt::format("SELECT t.digest, s.step, v.value FROM all_trials AS t "
                     "CROSS JOIN metrics AS q CROSS JOIN trial_states AS s "
                     "CROSS JOIN measurements AS v "
                     "WHERE t.digest IN ({}) AND q.digest = {} AND s.trial = t.id{} "
                     "AND v.state = s.state AND v.metric = q.id",
                     list, blob(spec.definition()), wanted),
         [&](const Row& row) {
           const auto* value = std::get_if<double>(&row[2]);  // null is NaN
           for (const std::size_t number : numbers(row[0])) {
             if (value && integer(row[1], -1) == last.of(ends_[number]))
               observations_[number].values[metric] = *value;
           }
         });
  }

  const Store& store_;
  const std::vector<Digest>& trials_;
  const std::vector<Step>& ends_;
  std::vector<Observation> observations_;
  std::unordered_map<Digest, std::vector<std::size_t>> numbers_;
  std::map<std::string, const MetricSpec*> specs_;
};

}  // namespace

std::vector<Observation> observe(const Experiment& experiment, const Store& store,
                                 const std::vector<Digest>& trials, const std::vector<Step>& ends,
                                 const std::vector<std::string>& metrics) {
  return Observer(experiment, store, trials, ends).finish(metrics);
}

}  // namespace perturb
