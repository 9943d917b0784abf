#include "perturb/report/summary.h"

#include <algorithm>
#include <cassert>
#include <cmath>
#include <map>
#include <unordered_set>

#include "perturb/core/diagnostic.h"
#include "perturb/core/error.h"

namespace perturb {

namespace {

bool contains(const std::vector<std::string>& all, std::string_view one) {
  return std::find(all.begin(), all.end(), one) != all.end();
}

/// Whether the factor is a field of the condition; otherwise it belongs to an intervention.
bool is_field(std::string_view factor) {
  const std::string_view section = factor.substr(0, factor.find('.'));
  return std::any_of(sections().begin(), sections().end(),
                     [&](const Section& known) { return known.name == section; });
}

bool is_seed(std::string_view factor) {
  if (is_field(factor)) return factor.starts_with("seeds.");
  return factor.ends_with(".seed") || factor.starts_with("set.seeds.");
}

std::vector<std::string> rows_by(const Experiment& experiment, const SummaryOptions& options) {
  if (options.by) {
    for (const std::string& factor : *options.by) {
      if (contains(experiment.factors(), factor)) continue;
      const std::string near = nearest(factor, experiment.factors());
      throw Error(ExitCode::Usage, "\"" + factor + "\" does not vary in this experiment",
                  near.empty() ? "" : "did you mean \"" + near + "\"?");
    }
    return *options.by;
  }
  std::vector<std::string> by;
  for (const std::string& factor : experiment.factors()) {
    if (is_field(factor) && !is_seed(factor)) by.push_back(factor);
  }
  return by;
}

/// Numbers texts in order of appearance.
class Numbering {
 public:
  std::size_t of(const std::string& text) {
    const auto [entry, is_new] = numbers_.try_emplace(text, numbers_.size());
    if (is_new) texts_.push_back(text);
    return entry->second;
  }
  const std::vector<std::string>& texts() const { return texts_; }

 private:
  std::map<std::string, std::size_t> numbers_;
  std::vector<std::string> texts_;
};

/// What a row gathers before it becomes figures.
struct Gathered {
  std::unordered_set<Digest> seen;          // one trial that stands in two places is one replicate
  std::vector<std::vector<double>> values;  // by metric
  std::vector<std::vector<std::vector<double>>> differences;  // by metric and variation
  std::size_t variations = 0;                                 // that it has something of
  std::size_t latest = 0;                                     // 1 + the last of them
};

void count(SummaryRow& row, Standing standing) {
  ++row.trials;
  switch (standing) {
    case Standing::Missing:
      ++row.missing;
      return;
    case Standing::Done:
      ++row.done;
      return;
    case Standing::Diverged:
      ++row.diverged;
      return;
    case Standing::Failed:
      ++row.failed;
      return;
  }
}

Sample of_differences(const std::vector<std::vector<double>>& by_variation) {
  std::vector<double> means;
  const std::vector<double>* only = nullptr;
  for (const std::vector<double>& differences : by_variation) {
    if (differences.empty()) continue;
    means.push_back(describe(differences).mean);
    only = &differences;
  }
  return means.size() == 1 ? describe(*only) : describe(means);
}

/// Sorts the members of an experiment into rows.
class Sorter {
 public:
  Sorter(const Experiment& experiment, const std::vector<Observation>& observations,
         std::vector<std::string> metrics, std::vector<std::string> by)
      : experiment_(experiment), observations_(observations) {
    summary_.metrics = std::move(metrics);
    summary_.by = std::move(by);
    label_alternatives();
  }

  Summary finish() {
    for (std::size_t variation = 0; variation < experiment_.variations(); ++variation)
      add(variation);
    for (std::size_t i = 0; i < rows_.size(); ++i) {
      for (std::size_t metric = 0; metric < summary_.metrics.size(); ++metric) {
        SummaryCell& cell = summary_.rows[i].cells[metric];
        cell.value = describe(rows_[i].values[metric]);
        cell.difference = of_differences(rows_[i].differences[metric]);
      }
    }
    for (const std::string& factor : experiment_.factors()) {
      const bool replicated = is_field(factor) || is_seed(factor);
      if (replicated && !contains(summary_.by, factor)) summary_.replicates.push_back(factor);
    }
    return std::move(summary_);
  }

 private:
  void label_alternatives() {
    const bool split = std::any_of(summary_.by.begin(), summary_.by.end(), [](const auto& factor) {
      return !is_field(factor) && is_seed(factor);
    });
    for (std::size_t a = 0; a <= experiment_.alternatives(); ++a) {
      alternatives_.push_back(labels_.of(split ? experiment_.label(a) : experiment_.group(a)));
    }
    for (const std::string& factor : summary_.by) {
      if (is_field(factor)) fields_.push_back(factor);
    }
    summary_.by = fields_;
  }

  /// The first row of the variation's group; those of its interventions follow.
  std::size_t group(std::size_t variation) {
    std::vector<std::string> levels;
    std::string key;
    if (!fields_.empty()) {
      const Condition condition = experiment_.condition(variation);
      for (const std::string& field : fields_) {
        levels.push_back(condition.has(field) ? display(condition.at(field)) : "-");
        key += framed(levels.back());
      }
    }
    const std::size_t first = groups_.of(key) * labels_.texts().size();
    if (first == rows_.size()) add_group(levels);
    return first;
  }

  void add_group(const std::vector<std::string>& levels) {
    const std::size_t metrics = summary_.metrics.size();
    for (std::size_t i = 0; i < labels_.texts().size(); ++i) {
      summary_.rows.push_back({.levels = levels,
                               .intervention = labels_.texts()[i],
                               .control = i == alternatives_.front(),
                               .cells = std::vector<SummaryCell>(metrics)});
      Gathered row;
      row.values.resize(metrics);
      row.differences.resize(metrics);
      rows_.push_back(std::move(row));
    }
  }

  void add(std::size_t variation) {
    const std::size_t first = group(variation);
    const std::size_t stride = alternatives_.size();
    const Observation& control = observations_[variation * stride];
    for (std::size_t a = 0; a < stride; ++a) {
      const Observation& observation = observations_[variation * stride + a];
      const std::size_t at = first + alternatives_[a];
      Gathered& row = rows_[at];
      if (!row.seen.insert(observation.trial).second) continue;
      count(summary_.rows[at], observation.standing);
      if (observation.standing != Standing::Done) continue;
      if (row.latest != variation + 1) {
        row.latest = variation + 1;
        ++row.variations;
      }
      add_values(at, observation);
      if (a > 0 && control.standing == Standing::Done) add_differences(row, observation, control);
    }
  }

  void add_values(std::size_t at, const Observation& observation) {
    for (std::size_t metric = 0; metric < summary_.metrics.size(); ++metric) {
      const double value = observation.values[metric];
      if (std::isfinite(value))
        rows_[at].values[metric].push_back(value);
      else
        ++summary_.rows[at].cells[metric].not_finite;
    }
  }

  void add_differences(Gathered& row, const Observation& observation, const Observation& control) {
    for (std::size_t metric = 0; metric < summary_.metrics.size(); ++metric) {
      const double difference = observation.values[metric] - control.values[metric];
      row.differences[metric].resize(row.variations);
      if (std::isfinite(difference)) row.differences[metric].back().push_back(difference);
    }
  }

  const Experiment& experiment_;
  const std::vector<Observation>& observations_;
  Summary summary_;
  std::vector<std::string> fields_;        // of summary_.by
  std::vector<std::size_t> alternatives_;  // alternative -> place in labels_
  Numbering labels_;
  Numbering groups_;
  std::vector<Gathered> rows_;  // beside summary_.rows
};

}  // namespace

std::vector<std::string> summary_metrics(const Experiment& experiment,
                                         const SummaryOptions& options) {
  std::vector<std::string> labels;
  for (const MetricSpec& metric : experiment.metrics()) {
    if (metric.every.kind != Every::Kind::Never) labels.push_back(metric.label);
  }
  for (const std::string& wanted : options.metrics) {
    if (contains(labels, wanted)) continue;
    const std::string near = nearest(wanted, labels);
    throw Error(ExitCode::Usage, "the experiment does not measure \"" + wanted + "\"",
                near.empty() ? "" : "did you mean \"" + near + "\"?");
  }
  if (!options.metrics.empty()) return options.metrics;
  std::vector<std::string> chosen;
  for (const char* usual : {"test.accuracy", "test.loss"}) {
    if (contains(labels, usual)) chosen.emplace_back(usual);
  }
  if (chosen.empty())
    chosen.assign(labels.begin(), labels.begin() + std::min<std::ptrdiff_t>(2, std::ssize(labels)));
  return chosen;
}

Summary summarise(const Experiment& experiment, const std::vector<Observation>& observations,
                  const SummaryOptions& options) {
  assert(observations.size() == experiment.trials());
  return Sorter(experiment, observations, summary_metrics(experiment, options),
                rows_by(experiment, options))
      .finish();
}

}  // namespace perturb
