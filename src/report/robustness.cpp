#include "perturb/report/robustness.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <map>
#include <tuple>

#include <fmt/format.h>

#include "perturb/core/error.h"
#include "perturb/experiment/noise_curve.h"
#include "report/factors.h"
#include "report/summary_tables.h"

namespace perturb {

namespace {

// What is measured.

/// Noise on all weights, relative to their deviation, in tests: what the tables mean by alpha_test.
bool is_meant(const MetricSpec& metric, std::string_view kind) {
  const auto is = [&](const char* parameter, const char* value) {
    const auto found = metric.parameters.find(parameter);
    return found != metric.parameters.end() && found->second == Value(value);
  };
  return metric.kind == kind && is("on", "test") && is("relative_to", "std") && is("layers", "*");
}

const NoiseCurve& accuracy_of(const Experiment& experiment, const std::vector<NoiseCurve>& curves) {
  const NoiseCurve* found = nullptr;
  for (const NoiseCurve& curve : curves) {
    if (!is_meant(experiment.metrics()[curve.metrics.front()], "noisy-accuracy")) continue;
    if (found)
      throw Error(ExitCode::Usage,
                  fmt::format("the experiment measures accuracy under noise twice: {} and {}",
                              found->name, curve.name),
                  "every = \"never\" leaves one of them out");
    found = &curve;
  }
  if (!found)
    throw Error(ExitCode::Usage,
                "the experiment does not measure accuracy under noise on all weights",
                "[[metrics]] with kind = \"noisy-accuracy\" and strength = [0, 0.1, 0.5] does, and "
                "`perturb run` measures what is new");
  for (const double needed : {0.0, kDropAt}) {
    if (!std::ranges::binary_search(found->strengths, needed))
      throw Error(
          ExitCode::Usage,
          fmt::format("accuracy is not measured at strength {}, which summary.csv is about",
                      needed),
          fmt::format("add {} to the levels of `strength`, and run the file again", needed));
  }
  return *found;
}

/// The loss at the same strengths under the same noise; nothing where there is none.
std::vector<std::optional<std::size_t>> losses_of(const Experiment& experiment,
                                                  const NoiseCurve& accuracy) {
  std::vector<std::optional<std::size_t>> all;
  const auto& metrics = experiment.metrics();
  for (const std::size_t of : accuracy.metrics) {
    const auto same = std::ranges::find_if(metrics, [&](const MetricSpec& metric) {
      return metric.kind == "noisy-loss" && metric.parameters == metrics[of].parameters &&
             metric.every.kind != Every::Kind::Never;
    });
    all.emplace_back();
    if (same != metrics.end()) all.back() = static_cast<std::size_t>(same - metrics.begin());
  }
  return all;
}

// Which trials are meant.

/// The strength of the noise in training: 0 of a control; nothing if the trial has no regime.
std::optional<double> noise_of(const Experiment& experiment, const Trial& trial) {
  if (trial.alternative == 0) return 0;
  if (trial.operations.size() != 1) return std::nullopt;
  const Operation& operation = trial.operations.front();
  if (operation.kind != "weight-noise" || operation.windows.size() != 1) return std::nullopt;
  const Window& window = operation.windows.front();
  const bool whole = window.begin == 0 && window.end >= experiment.end(trial);
  const bool usual = operation.parameters.at("relative_to") == Value("std") &&
                     operation.parameters.at("layers") == Value("*");
  if (!whole || !usual) return std::nullopt;
  return operation.parameters.at("epsilon").as_float();
}

std::string underscored(std::string name) {
  std::ranges::replace(name, '-', '_');
  return name;
}

using Cell4 = std::tuple<std::string, std::string, bool, double>;
Cell4 cell_of(const NoisyScores& network) {
  return {network.architecture, network.dataset, network.noisy, network.alpha_train};
}

/// Sees to it that a row stands for one network, and networks of one kind differ by seed alone.
class Factors {
 public:
  explicit Factors(const Results& results) : results_(results) {}

  /// Whether the network is new; false for the same trial in another place of the grid.
  bool add(const NoisyScores& network, std::size_t number, const Digest& trial) {
    const auto [like, is_first] = cells_.try_emplace(cell_of(network), number);
    if (!is_first) check_like(like->second, number);
    const auto [row, is_new] = rows_.try_emplace({cell_of(network), network.seed}, number, trial);
    if (is_new) return true;
    if (row->second.second != trial) refuse_row(row->second.first, number);
    return false;
  }

 private:
  static bool has_column(std::string_view factor) {
    return factor == "model.kind" || factor == "data.kind" || factor == "weight-noise.epsilon";
  }
  bool differ(std::size_t a, std::size_t b, const std::string& factor) const {
    const auto level = [&](std::size_t number) -> std::optional<Value> {
      const auto& all = results_.levels(number);
      const auto found = all.find(factor);
      if (found == all.end()) return std::nullopt;
      return found->second;
    };
    return level(a) != level(b);
  }

  void check_like(std::size_t a, std::size_t b) const {
    for (const std::string& factor : results_.experiment().factors()) {
      if (has_column(factor) || names_seed(factor) || !differ(a, b, factor)) continue;
      throw Error(ExitCode::Usage,
                  fmt::format("\"{}\" varies among networks of one architecture and regime (trials "
                              "{} and {}), and the tables have no column for it",
                              factor, a, b),
                  fmt::format("choose one of its levels after the file: {}=...", factor));
    }
  }

  [[noreturn]] void refuse_row(std::size_t a, std::size_t b) const {
    std::string factor = "model.kind";
    for (const std::string& one : results_.experiment().factors()) {
      if (!has_column(one) && differ(a, b, one)) factor = one;
    }
    throw Error(ExitCode::Usage,
                fmt::format("trials {} and {} would be one row: \"{}\" varies and seeds.init does "
                            "not, which is the tables' only column for seeds",
                            a, b, factor),
                fmt::format("`zip = true` in [[variations]] pairs seeds; or choose one level after "
                            "the file: {}=...",
                            factor));
  }

  const Results& results_;
  std::map<Cell4, std::size_t> cells_;  // -> the first such trial
  std::map<std::pair<Cell4, std::int64_t>, std::pair<std::size_t, Digest>> rows_;
};

class Reader {
 public:
  explicit Reader(const Results& results) : results_(results), factors_(results) {
    const auto curves = noise_curves(experiment().metrics());
    const NoiseCurve& accuracy = accuracy_of(experiment(), curves);
    found_.strengths = accuracy.strengths;
    for (const std::size_t metric : accuracy.metrics) add_metric(metric);
    for (const auto& loss : losses_of(experiment(), accuracy)) {
      losses_.emplace_back();
      if (!loss) continue;
      losses_.back() = labels_.size();
      add_metric(*loss);
    }
  }

  Robustness read() {
    std::vector<Replicate> trials = results_.view({.metrics = labels_}).replicates;
    std::ranges::sort(trials, {}, &Replicate::number);
    for (const Replicate& trial : trials) add(trial);
    return std::move(found_);
  }

 private:
  const Experiment& experiment() const { return results_.experiment(); }
  void add_metric(std::size_t metric) { labels_.push_back(experiment().metrics()[metric].label); }

  void add(const Replicate& replicate) {
    const Trial trial = experiment().trial(replicate.number);
    const auto noise = noise_of(experiment(), trial);
    if (!noise) {
      leave_out(experiment().label(trial.alternative) +
                    ": neither a control nor weight-noise alone over the whole run",
                replicate.number);
      return;
    }
    const auto& levels = results_.levels(replicate.number);
    NoisyScores network{.architecture = underscored(levels.at("model.kind").as_string()),
                        .dataset = underscored(levels.at("data.kind").as_string()),
                        .noisy = trial.alternative != 0,
                        .seed = levels.at("seeds.init").as_int(),
                        .alpha_train = *noise};
    // Before it is known whether there are scores: what collides would do so sooner or later.
    if (!factors_.add(network, replicate.number, replicate.trial)) return;
    const std::string lacking = read_scores(replicate, network);
    if (lacking.empty())
      found_.networks.push_back(std::move(network));
    else
      leave_out(lacking, replicate.number);
  }

  /// Why there are no scores; empty if there are.
  std::string read_scores(const Replicate& replicate, NoisyScores& network) const {
    for (std::size_t i = 0; i < found_.strengths.size(); ++i) {
      const Reading& reading = replicate.readings[i];
      const std::string lacking = lack(replicate, reading);
      if (!lacking.empty())
        return replicate.standing == Standing::Done
                   ? fmt::format("accuracy {} at strength {}", lacking, found_.strengths[i])
                   : lacking;
      network.accuracy.push_back(reading.value);
      const bool known = losses_[i] && lack(replicate, replicate.readings[*losses_[i]]).empty();
      network.loss.push_back(known ? replicate.readings[*losses_[i]].value
                                   : std::numeric_limits<double>::quiet_NaN());
    }
    return {};
  }

  void leave_out(const std::string& why, std::size_t number) {
    auto same = std::ranges::find(found_.left_out, why, &LeftOut::why);
    if (same == found_.left_out.end())
      same = found_.left_out.insert(found_.left_out.end(), {why, {}});
    same->trials.push_back(number);
  }

  const Results& results_;
  Factors factors_;
  std::vector<std::string> labels_;                 // accuracies by strength, then losses
  std::vector<std::optional<std::size_t>> losses_;  // by strength, in labels_
  Robustness found_;
};

}  // namespace

Robustness robustness(const Results& results) { return Reader(results).read(); }

std::vector<MeanDrop> mean_drops(const Robustness& robustness) {
  const auto at = [&](double strength) {
    const auto found = std::ranges::find(robustness.strengths, strength);
    return static_cast<std::size_t>(found - robustness.strengths.begin());
  };
  struct Group {
    Cell4 cell;
    std::vector<double> accuracy;
    std::vector<double> drop;
  };
  std::vector<Group> groups;
  for (const NoisyScores& network : robustness.networks) {
    auto group = std::ranges::find(groups, cell_of(network), &Group::cell);
    if (group == groups.end()) group = groups.insert(groups.end(), {cell_of(network), {}, {}});
    const double clean = network.accuracy[at(0)];
    group->accuracy.push_back(clean);
    group->drop.push_back(clean - network.accuracy[at(kDropAt)]);
  }
  std::vector<MeanDrop> all;
  for (const Group& group : groups) {
    const auto& [architecture, dataset, noisy, alpha] = group.cell;
    all.push_back({.architecture = architecture,
                   .dataset = dataset,
                   .noisy = noisy,
                   .alpha_train = alpha,
                   .accuracy = describe(group.accuracy),
                   .drop = describe(group.drop)});
  }
  return all;
}

std::optional<bool> stands_up(const MeanDrop& noisy, const std::vector<MeanDrop>& all) {
  constexpr double kHarm = 0.02;
  if (!noisy.noisy) return std::nullopt;
  for (const MeanDrop& clean : all) {
    if (!clean.noisy && clean.architecture == noisy.architecture && clean.dataset == noisy.dataset)
      return noisy.drop.mean <= clean.drop.mean + kHarm;
  }
  return std::nullopt;
}

}  // namespace perturb
