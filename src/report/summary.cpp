#include "perturb/report/summary.h"

#include <algorithm>
#include <cassert>
#include <cmath>
#include <map>
#include <span>
#include <unordered_map>
#include <unordered_set>

#include "perturb/core/diagnostic.h"
#include "perturb/core/error.h"
#include "report/factors.h"

namespace perturb {

namespace {

bool contains(const std::vector<std::string>& all, std::string_view one) {
  return std::find(all.begin(), all.end(), one) != all.end();
}

void check_varies(const Experiment& experiment, const std::vector<std::string>& factors) {
  for (const std::string& factor : factors) {
    if (contains(experiment.factors(), factor)) continue;
    const std::string near = nearest(factor, experiment.factors());
    throw Error(ExitCode::Usage, "\"" + factor + "\" does not vary in this experiment",
                near.empty() ? "" : "did you mean \"" + near + "\"?");
  }
}

std::vector<std::string> rows_by(const Experiment& experiment, const SummaryOptions& options) {
  check_varies(experiment, options.average_over);
  std::vector<std::string> by;
  if (options.by) {
    check_varies(experiment, *options.by);
    by = *options.by;
  } else {
    for (const std::string& factor : experiment.factors()) {
      if (names_field(factor) && !names_seed(factor)) by.push_back(factor);
    }
  }
  std::erase_if(by, [&](const auto& factor) { return contains(options.average_over, factor); });
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

/// The trials of a row that have one control.
struct Partners {
  std::vector<std::vector<Pair>> pairs;  // by quantity
};

/// What a row gathers before it becomes figures.
struct Gathered {
  std::unordered_set<Digest> seen;          // one trial that stands in two places is one replicate
  std::vector<std::vector<double>> values;  // by quantity
  std::unordered_map<Digest, std::size_t> controls;  // -> place in partners
  std::vector<Partners> partners;
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

Pair average(const std::vector<Pair>& pairs) {
  Pair sum;
  for (const Pair& pair : pairs) {
    sum.value += pair.value;
    sum.control += pair.control;
    sum.difference += pair.difference;
  }
  const auto n = static_cast<double>(pairs.size());
  return {sum.value / n, sum.control / n, sum.difference / n};
}

/// The cell of a row's comparison with its controls.
void compare(SummaryCell& cell, const Gathered& row, std::size_t quantity, Better better) {
  if (row.partners.size() == 1) {
    const std::vector<Pair>& pairs = row.partners.front().pairs[quantity];
    cell.against = compare(pairs, better);
    cell.pairs = row.seen.size();
    cell.one_control = cell.pairs > 1;
    cell.against.hedges_g.reset();  // one control has no spread
    return;
  }
  std::vector<Pair> averages;
  for (const Partners& partners : row.partners) {
    if (!partners.pairs[quantity].empty()) averages.push_back(average(partners.pairs[quantity]));
  }
  cell.against = compare(averages, better);
  cell.pairs = row.partners.size();
}

/// Holm's correction over the rows that have a p.
void correct(std::span<SummaryRow> group, std::size_t quantity) {
  std::vector<double> p;
  for (const SummaryRow& row : group) {
    if (const auto& one = row.cells[quantity].against.p) p.push_back(*one);
  }
  const std::vector<double> corrected = holm(p);
  std::size_t next = 0;
  for (SummaryRow& row : group) {
    SummaryCell& cell = row.cells[quantity];
    if (!cell.against.p) continue;
    cell.against.p_holm = corrected[next++];
    cell.family = p.size();
  }
}

/// Sorts the members of an experiment into rows.
class Sorter {
 public:
  Sorter(const Experiment& experiment, const std::vector<Observation>& observations,
         const SummaryOptions& options)
      : experiment_(experiment), observations_(observations), average_over_(options.average_over) {
    summary_.quantities = quantities(experiment, options.metrics, options.at);
    summary_.place = options.at;
    summary_.by = rows_by(experiment, options);
    label_alternatives();
  }

  Summary finish() {
    for (std::size_t variation = 0; variation < experiment_.variations(); ++variation)
      add(variation);
    for (std::size_t quantity = 0; quantity < summary_.quantities.size(); ++quantity)
      figure(quantity);
    for (const std::string& factor : experiment_.factors()) {
      const bool replicated =
          names_field(factor) || names_seed(factor) || contains(average_over_, factor);
      if (replicated && !contains(summary_.by, factor)) summary_.replicates.push_back(factor);
    }
    return std::move(summary_);
  }

 private:
  void label_alternatives() {
    const bool split = std::any_of(summary_.by.begin(), summary_.by.end(), [](const auto& factor) {
      return !names_field(factor) && names_seed(factor);
    });
    for (std::size_t a = 0; a <= experiment_.alternatives(); ++a) {
      alternatives_.push_back(labels_.of(experiment_.group(a, average_over_, split)));
    }
    for (const std::string& factor : summary_.by) {
      if (names_field(factor)) fields_.push_back(factor);
    }
    summary_.by = fields_;
  }

  void figure(std::size_t quantity) {
    for (std::size_t i = 0; i < rows_.size(); ++i) {
      SummaryCell& cell = summary_.rows[i].cells[quantity];
      cell.value = describe(rows_[i].values[quantity]);
      compare(cell, rows_[i], quantity, summary_.quantities[quantity].better);
    }
    const std::size_t group = labels_.texts().size();
    for (std::size_t first = 0; first < rows_.size(); first += group)
      correct(std::span(summary_.rows).subspan(first, group), quantity);
  }

  /// The first row of the variation's group; those of its interventions follow.
  std::size_t group(std::size_t variation) {
    std::vector<std::string> levels;
    std::string key;
    if (!fields_.empty()) {
      const Condition condition = experiment_.condition(variation);
      for (const std::string& field : fields_) {
        levels.push_back(condition.has(field) ? experiment_.shown(condition.at(field)) : "-");
        key += framed(levels.back());
      }
    }
    const std::size_t first = groups_.of(key) * labels_.texts().size();
    if (first == rows_.size()) add_group(levels);
    return first;
  }

  void add_group(const std::vector<std::string>& levels) {
    const std::size_t quantities = summary_.quantities.size();
    for (std::size_t i = 0; i < labels_.texts().size(); ++i) {
      summary_.rows.push_back({.levels = levels,
                               .intervention = labels_.texts()[i],
                               .control = i == alternatives_.front(),
                               .cells = std::vector<SummaryCell>(quantities)});
      Gathered row;
      row.values.resize(quantities);
      rows_.push_back(std::move(row));
    }
  }

  void add(std::size_t variation) {
    const std::size_t first = group(variation);
    const std::size_t stride = alternatives_.size();
    const Digest& control = observations_[variation * stride].trial;
    for (std::size_t a = 0; a < stride; ++a) {
      const std::size_t number = variation * stride + a;
      const Observation& observation = observations_[number];
      const std::size_t at = first + alternatives_[a];
      if (!rows_[at].seen.insert(observation.trial).second) continue;
      summary_.rows[at].numbers.push_back(number);
      count(summary_.rows[at], observation.standing);
      // Also of a trial that failed, so that a pair is missed which would have been there.
      if (a > 0) partners(rows_[at], control);
      if (observation.standing != Standing::Done) continue;
      add_values(at, observation);
      if (a > 0) add_pairs(partners(rows_[at], control), observation);
    }
  }

  Partners& partners(Gathered& row, const Digest& control) {
    const auto [entry, is_new] = row.controls.try_emplace(control, row.partners.size());
    if (is_new) {
      row.partners.emplace_back();
      row.partners.back().pairs.resize(summary_.quantities.size());
    }
    return row.partners[entry->second];
  }

  void add_values(std::size_t at, const Observation& observation) {
    for (std::size_t i = 0; i < summary_.quantities.size(); ++i) {
      const Reading& reading = observation.readings[i];
      SummaryCell& cell = summary_.rows[at].cells[i];
      if (reading.lack == Reading::Lack::Unmeasured)
        ++cell.unmeasured;
      else if (reading.lack == Reading::Lack::Never)
        ++cell.never;
      else if (!std::isfinite(reading.value))
        ++cell.not_finite;
      else
        rows_[at].values[i].push_back(reading.value);
    }
  }

  void add_pairs(Partners& partners, const Observation& observation) {
    for (std::size_t i = 0; i < summary_.quantities.size(); ++i) {
      const Reading& reading = observation.readings[i];
      const double difference = reading.value - reading.control;
      if (std::isfinite(difference))
        partners.pairs[i].push_back({reading.value, reading.control, difference});
    }
  }

  const Experiment& experiment_;
  const std::vector<Observation>& observations_;
  const std::vector<std::string>& average_over_;
  Summary summary_;
  std::vector<std::string> fields_;        // of summary_.by
  std::vector<std::size_t> alternatives_;  // alternative -> place in labels_
  Numbering labels_;
  Numbering groups_;
  std::vector<Gathered> rows_;  // beside summary_.rows
};

}  // namespace

Summary summarise(const Experiment& experiment, const std::vector<Observation>& observations,
                  const SummaryOptions& options) {
  assert(observations.size() == experiment.trials());
  return Sorter(experiment, observations, options).finish();
}

}  // namespace perturb
