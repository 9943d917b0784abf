#include "perturb/report/observe.h"

#include <algorithm>
#include <functional>
#include <map>
#include <optional>
#include <set>
#include <unordered_map>

#include <fmt/format.h>

#include "report/walk.h"

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
/// NaN is null in the store.
double real(const Cell& cell) {
  const auto* value = std::get_if<double>(&cell);
  return value ? *value : std::numeric_limits<double>::quiet_NaN();
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

/// Where the metric's last value is in a run that ends there; -1: nowhere in so short a run.
Step last_step(const Every& every, Step end) {
  if (every.kind != Every::Kind::Listed) return end;
  Step last = -1;
  for (const Step step : every.steps) {
    if (step <= end) last = std::max(last, step);
  }
  return last;
}

class Observer {
 public:
  Observer(const Experiment& experiment, const Store& store, const std::vector<Digest>& trials,
           const std::vector<Step>& ends, const std::vector<Quantity>& quantities, const At& place)
      : experiment_(experiment),
        store_(store),
        trials_(trials),
        ends_(ends),
        quantities_(quantities),
        place_(place),
        observations_(trials.size()) {
    for (std::size_t number = 0; number < trials.size(); ++number) {
      observations_[number].trial = trials[number];
      observations_[number].readings.resize(quantities.size());
      numbers_[trials[number]].push_back(number);
      for (const Quantity& quantity : quantities)
        walks_.emplace_back(quantity, spec(quantity), place, ends[number]);
    }
  }

  std::vector<Observation> finish() {
    find_metrics();
    find_references();
    when_ = condition();
    for (std::size_t begin = 0; begin < trials_.size(); begin += kTrialsAQuery) {
      rows_.clear();
      outcomes(begin, std::min(begin + kTrialsAQuery, trials_.size()));
      if (!rows_.empty() && !metrics_.empty()) values();
    }
    for (std::size_t number = 0; number < observations_.size(); ++number) read(number);
    for (std::size_t number = 0; number < observations_.size(); ++number) pair(number);
    find_controls();
    return std::move(observations_);
  }

 private:
  using Row = std::vector<Cell>;

  const MetricSpec& spec(const Quantity& quantity) const {
    return experiment_.metrics()[quantity.metric];
  }
  std::size_t control_of(std::size_t number) const {
    return number - number % (1 + experiment_.alternatives());
  }
  /// Whether the quantity is one state's, so that it can be compared at the same epoch only.
  bool of_one_state(const Quantity& quantity) const {
    return quantity.kind == Quantity::Kind::Value && place_.kind != At::Kind::Best;
  }

  void each(const std::string& sql, const std::function<void(const Row&)>& use) const {
    store_.query(sql, {},
                 {.columns = [](const std::vector<std::string>&) {},
                  .row =
                      [&](const Row& row) {
                        use(row);
                        return true;
                      }});
  }

  void find_metrics() {
    for (std::size_t i = 0; i < quantities_.size(); ++i) {
      each("SELECT id FROM metrics WHERE digest = " + blob(spec(quantities_[i]).definition()),
           [&](const Row& row) { metrics_[integer(row[0], 0)].push_back(i); });
    }
  }

  /// The states that metrics which compare with other trials compare with.
  void find_references() {
    std::set<Digest> others;
    for (const Quantity& quantity : quantities_) {
      if (!spec(quantity).relative()) continue;
      for (std::size_t v = 0; v < experiment_.variations(); ++v) {
        if (const auto other = other_trial(quantity, v)) others.insert(*other);
      }
    }
    for (auto next = others.begin(); next != others.end();) {
      std::string list;
      for (std::size_t n = 0; n < kTrialsAQuery && next != others.end(); ++n, ++next)
        list += (list.empty() ? "" : ",") + blob(*next);
      each(
          "SELECT t.digest, s.epoch, s.state FROM all_trials AS t CROSS JOIN trial_states AS s "
          "WHERE t.digest IN (" +
              list + ") AND s.trial = t.id",
          [&](const Row& row) {
            states_[*Digest::from_hex(text(row[0]))][real(row[1])] = integer(row[2], 0);
          });
    }
  }

  std::optional<Digest> other_trial(const Quantity& quantity, std::size_t variation) const {
    const auto other = experiment_.reference(spec(quantity), variation);
    if (!other) return std::nullopt;
    return trials_[*other * (1 + experiment_.alternatives())];
  }

  /// Whether a value of the member's is compared with the state that it is meant to be.
  bool is_meant(std::size_t number, std::size_t quantity, double epoch,
                std::int64_t reference) const {
    if (!spec(quantities_[quantity]).relative()) return reference == 0;
    const auto other = other_trial(quantities_[quantity], experiment_.variation_of(number));
    const auto states = other ? states_.find(*other) : states_.end();
    if (states == states_.end()) return false;
    const auto state = states->second.find(epoch);
    return state != states->second.end() && state->second == reference;
  }

  /// Which states are of interest, as SQL: a trial may have thousands, of which one is wanted.
  std::string condition() const {
    std::set<Step> steps;
    for (const Quantity& quantity : quantities_) {
      if (!of_one_state(quantity)) return "";
      for (const Step end : std::set<Step>(ends_.begin(), ends_.end()))
        steps.insert(last_step(spec(quantity).every, end));
    }
    if (place_.kind == At::Kind::GivenStep) steps = {place_.step};
    if (place_.kind == At::Kind::GivenEpoch)
      return fmt::format(" AND s.epoch = {:.17g}", place_.epoch);
    if (steps.size() > kMostSteps) return "";
    return fmt::format(" AND s.step IN ({})", fmt::join(steps, ","));
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

  /// A value as it is stored.
  struct Stored {
    std::int64_t trial;  ///< its row, like the next two
    std::int64_t metric;
    std::int64_t reference;  ///< the state that it was compared with, or 0
    Step step;
    double epoch;
    double value;
  };
  /// Each trial's by step.
  void measured(const std::vector<std::int64_t>& trials, const std::string& when,
                const std::function<void(const Stored&)>& use) const {
    std::vector<std::int64_t> metrics;
    for (const auto& [id, places] : metrics_) metrics.push_back(id);
    each(fmt::format("SELECT s.trial, v.metric, v.reference, s.step, s.epoch, v.value "
                     "FROM trial_states AS s CROSS JOIN measurements AS v "
                     "WHERE s.trial IN ({}){} AND v.state = s.state AND v.metric IN ({}) "
                     "ORDER BY s.trial, s.step",
                     fmt::join(trials, ","), when, fmt::join(metrics, ",")),
         [&](const Row& row) {
           use({integer(row[0], 0), integer(row[1], 0), integer(row[2], 0), integer(row[3], -1),
                real(row[4]), real(row[5])});
         });
  }

  void values() {
    std::vector<std::int64_t> trials;
    for (const auto& [id, numbers] : rows_) trials.push_back(id);
    measured(trials, when_, [&](const Stored& stored) {
      for (const std::size_t number : *rows_.at(stored.trial)) {
        for (const std::size_t i : metrics_.at(stored.metric)) {
          if (!is_meant(number, i, stored.epoch, stored.reference)) continue;
          const bool last = place_.kind == At::Kind::Last;
          if (last && of_one_state(quantities_[i]) &&
              stored.step != last_step(spec(quantities_[i]).every, ends_[number]))
            continue;
          walk(number, i).add(stored.step, stored.epoch, stored.value);
        }
      }
    });
  }

  Walk& walk(std::size_t number, std::size_t quantity) {
    return walks_[number * quantities_.size() + quantity];
  }

  void read(std::size_t number) {
    Observation& observation = observations_[number];
    bool reached = false;
    for (std::size_t i = 0; i < quantities_.size(); ++i) {
      observation.readings[i] = walk(number, i).reading();
      reached = reached || observation.readings[i].lack == Reading::Lack::None;
    }
    // At a given step or epoch it does not count how a trial ended after it.
    const bool given = place_.kind == At::Kind::GivenStep || place_.kind == At::Kind::GivenEpoch;
    if (given && reached) observation.standing = Standing::Done;
  }

  /// The control's value from its own reading, where that is of the same epoch.
  void pair(std::size_t number) {
    if (number == control_of(number)) return;
    const Observation& control = observations_[control_of(number)];
    Observation& observation = observations_[number];
    if (observation.standing != Standing::Done) return;
    for (std::size_t i = 0; i < quantities_.size(); ++i) {
      Reading& reading = observation.readings[i];
      const Reading& other = control.readings[i];
      if (reading.lack != Reading::Lack::None) continue;
      const bool there = other.lack == Reading::Lack::None && control.standing == Standing::Done;
      if (!of_one_state(quantities_[i])) {
        if (there) reading.control = other.value;
      } else if (there && other.epoch == reading.epoch) {
        reading.control = other.value;
      } else if (place_.kind == At::Kind::GivenStep || (there && place_.kind == At::Kind::Last)) {
        elsewhere_[control.trial].push_back({number, i});
      }
    }
  }

  /// Controls' values at epochs other than that of their own reading: where an intervention
  /// changes the batch size, the same step is not the same epoch.
  void find_controls() {
    std::vector<Digest> controls;
    for (const auto& [control, readings] : elsewhere_) controls.push_back(control);
    for (std::size_t begin = 0; begin < controls.size(); begin += kTrialsAQuery) {
      const std::size_t end = std::min(begin + kTrialsAQuery, controls.size());
      std::string list;
      std::set<double> epochs;
      for (std::size_t c = begin; c < end; ++c) {
        list += (list.empty() ? "" : ",") + blob(controls[c]);
        for (const auto& [number, i] : elsewhere_.at(controls[c]))
          epochs.insert(observations_[number].readings[i].epoch);
      }
      std::map<std::int64_t, const std::vector<Asking>*> asking;
      each("SELECT id, digest FROM all_trials WHERE digest IN (" + list + ")", [&](const Row& row) {
        asking[integer(row[0], 0)] = &elsewhere_.at(*Digest::from_hex(text(row[1])));
      });
      if (!asking.empty()) take_controls(asking, epochs);
    }
  }

  struct Asking {
    std::size_t number;
    std::size_t quantity;
  };
  void take_controls(const std::map<std::int64_t, const std::vector<Asking>*>& asking,
                     const std::set<double>& epochs) {
    std::vector<std::int64_t> trials;
    for (const auto& [id, readings] : asking) trials.push_back(id);
    std::string when;
    if (epochs.size() <= kMostSteps) {
      for (const double epoch : epochs)
        when += fmt::format("{}{:.17g}", when.empty() ? " AND s.epoch IN (" : ",", epoch);
      when += ")";
    }
    measured(trials, when, [&](const Stored& stored) {
      for (const auto& [number, i] : *asking.at(stored.trial)) {
        const std::size_t control = control_of(number);
        const auto& of_metric = metrics_.at(stored.metric);
        Reading& reading = observations_[number].readings[i];
        const bool meant =
            std::ranges::find(of_metric, i) != of_metric.end() && reading.epoch == stored.epoch &&
            is_meant(control, i, stored.epoch, stored.reference) &&
            asks_for(spec(quantities_[i]).every, stored.step, stored.epoch, ends_[control]);
        if (meant) reading.control = stored.value;
      }
    });
  }

  const Experiment& experiment_;
  const Store& store_;
  const std::vector<Digest>& trials_;
  const std::vector<Step>& ends_;
  const std::vector<Quantity>& quantities_;
  const At& place_;
  std::vector<Observation> observations_;
  std::vector<Walk> walks_;  // by number, then by quantity
  std::unordered_map<Digest, std::vector<std::size_t>> numbers_;
  std::map<std::int64_t, std::vector<std::size_t>> metrics_;  // row in the store -> quantities
  std::unordered_map<Digest, std::map<double, std::int64_t>> states_;  // by trial and epoch
  std::string when_;
  /// Trials of the part that is being read, by their row in the store.
  std::unordered_map<std::int64_t, const std::vector<std::size_t>*> rows_;
  std::unordered_map<Digest, std::vector<Asking>> elsewhere_;  // by control
};

}  // namespace

std::vector<Observation> observe(const Experiment& experiment, const Store& store,
                                 const std::vector<Digest>& trials, const std::vector<Step>& ends,
                                 const std::vector<Quantity>& quantities, const At& place) {
  return Observer(experiment, store, trials, ends, quantities, place).finish();
}

}  // namespace perturb
