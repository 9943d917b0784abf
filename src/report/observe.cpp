#include "perturb/report/observe.h"

#include <algorithm>
#include <map>
#include <set>
#include <span>

#include <fmt/format.h>

#include "perturb/experiment/noise_curve.h"
#include "report/noise_reading.h"
#include "report/stored_values.h"
#include "report/walk.h"

namespace perturb {

namespace {

/// Beyond this many different steps it is faster to look at all that a trial has.
constexpr std::size_t kMostSteps = 1'000;

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

std::vector<std::size_t> metrics_of(const std::vector<Quantity>& quantities) {
  std::vector<std::size_t> metrics;
  for (const Quantity& quantity : quantities) metrics.push_back(quantity.metric);
  return metrics;
}

/// A quantity, or the metrics of its noise curve as they are.
struct Parts {
  std::vector<double> strengths;  // empty: the quantity itself
  std::vector<Quantity> quantities;
};
Parts parts_of(const Experiment& experiment, const Quantity& quantity) {
  if (!quantity.of_noise()) return {{}, {quantity}};
  const std::vector<MetricSpec>& metrics = experiment.metrics();
  const NoiseCurve curve = noise_curve_of(metrics, quantity.metric);
  Parts parts{curve.strengths, {}};
  for (const std::size_t metric : curve.metrics)
    parts.quantities.push_back(
        {.label = metrics[metric].label, .metric = metric, .better = metrics[metric].better});
  return parts;
}

class Observer {
 public:
  Observer(const Experiment& experiment, const Store& store, const std::vector<Digest>& trials,
           const std::vector<Step>& ends, const std::vector<Quantity>& quantities, const At& place)
      : experiment_(experiment),
        stored_(experiment, store, trials, metrics_of(quantities)),
        ends_(ends),
        quantities_(quantities),
        place_(place),
        observations_(trials.size()) {
    for (std::size_t number = 0; number < trials.size(); ++number) {
      observations_[number].trial = trials[number];
      observations_[number].readings.resize(quantities.size());
      for (const Quantity& quantity : quantities)
        walks_.emplace_back(quantity, spec(quantity), place, ends[number]);
    }
  }

  std::vector<Observation> finish() {
    const std::string when = condition();
    StoredValues::in_parts(stored_.distinct(), [&](std::span<const std::size_t> part) {
      auto rows = stored_.rows(part);
      std::erase_if(rows, [](const StoredValues::Row& row) { return row.outcome.empty(); });
      for (const auto& row : rows) {
        for (const std::size_t number : *row.numbers)
          observations_[number].standing = standing(row.outcome, row.step, row.done, ends_[number]);
      }
      stored_.values(rows, when, [&](const StoredValues::Value& value) { take(value); });
    });
    for (std::size_t number = 0; number < observations_.size(); ++number) read(number);
    for (std::size_t number = 0; number < observations_.size(); ++number) pair(number);
    find_controls();
    return std::move(observations_);
  }

 private:
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

  /// Which states are of interest, as SQL.
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

  void take(const StoredValues::Value& value) {
    const Quantity& quantity = quantities_[value.metric];
    if (place_.kind == At::Kind::Last && of_one_state(quantity) &&
        value.step != last_step(spec(quantity).every, ends_[value.number]))
      return;
    walk(value.number, value.metric).add(value.step, value.epoch, value.value);
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
        elsewhere_[control_of(number)].push_back({number, i});
      }
    }
  }

  /// Controls' values at epochs other than that of their own reading: where an intervention
  /// changes the batch size, the same step is not the same epoch.
  void find_controls() {
    std::vector<std::size_t> controls;
    for (const auto& [control, asking] : elsewhere_) controls.push_back(control);
    StoredValues::in_parts(controls, [&](std::span<const std::size_t> part) {
      std::set<double> epochs;
      for (const std::size_t control : part) {
        for (const auto& [number, i] : elsewhere_.at(control))
          epochs.insert(observations_[number].readings[i].epoch);
      }
      std::string when;
      if (epochs.size() <= kMostSteps) {
        for (const double epoch : epochs)
          when += fmt::format("{}{:.17g}", when.empty() ? " AND s.epoch IN (" : ",", epoch);
        when += ")";
      }
      stored_.values(stored_.rows(part), when,
                     [&](const StoredValues::Value& value) { take_control(value); });
    });
  }

  void take_control(const StoredValues::Value& value) {
    const auto asking = elsewhere_.find(value.number);
    if (asking == elsewhere_.end()) return;
    for (const auto& [number, i] : asking->second) {
      Reading& reading = observations_[number].readings[i];
      const bool meant =
          i == value.metric && reading.epoch == value.epoch &&
          asks_for(spec(quantities_[i]).every, value.step, value.epoch, ends_[value.number]);
      if (meant) reading.control = value.value;
    }
  }

  struct Asking {
    std::size_t number;
    std::size_t quantity;
  };
  const Experiment& experiment_;
  const StoredValues stored_;
  const std::vector<Step>& ends_;
  const std::vector<Quantity>& quantities_;
  const At& place_;
  std::vector<Observation> observations_;
  std::vector<Walk> walks_;                               // by number, then by quantity
  std::map<std::size_t, std::vector<Asking>> elsewhere_;  // by control
};

}  // namespace

std::vector<Observation> observe(const Experiment& experiment, const Store& store,
                                 const std::vector<Digest>& trials, const std::vector<Step>& ends,
                                 const std::vector<Quantity>& quantities, const At& place) {
  std::vector<Parts> parts;
  std::vector<Quantity> all;
  for (const Quantity& quantity : quantities) {
    parts.push_back(parts_of(experiment, quantity));
    all.insert(all.end(), parts.back().quantities.begin(), parts.back().quantities.end());
  }
  auto observations = Observer(experiment, store, trials, ends, all, place).finish();
  if (all.size() == quantities.size()) return observations;
  for (Observation& observation : observations) {
    std::span<const Reading> rest = observation.readings;
    std::vector<Reading> readings;
    for (std::size_t i = 0; i < quantities.size(); ++i) {
      const auto of_it = rest.first(parts[i].quantities.size());
      rest = rest.subspan(of_it.size());
      readings.push_back(parts[i].strengths.empty()
                             ? of_it.front()
                             : noise_reading(quantities[i], parts[i].strengths,
                                             parts[i].quantities.front().better, of_it));
    }
    observation.readings = std::move(readings);
  }
  return observations;
}

}  // namespace perturb
