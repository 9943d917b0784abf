#include "report/stored_values.h"

#include <cassert>
#include <limits>
#include <set>

#include <fmt/format.h>

namespace perturb {

namespace {

std::string blob(const Digest& digest) { return "x'" + digest.hex() + "'"; }

std::string text(const Cell& cell) {
  const auto* value = std::get_if<std::string>(&cell);
  return value ? *value : std::string();
}
std::int64_t integer(const Cell& cell, std::int64_t otherwise) {
  const auto* value = std::get_if<std::int64_t>(&cell);
  return value ? *value : otherwise;
}
/// NaN is null in the store.
double real(const Cell& cell) {
  const auto* value = std::get_if<double>(&cell);
  return value ? *value : std::numeric_limits<double>::quiet_NaN();
}

}  // namespace

StoredValues::StoredValues(const Experiment& experiment, const Store& store,
                           const std::vector<Digest>& trials, std::vector<std::size_t> metrics)
    : experiment_(experiment), store_(store), trials_(trials), metrics_(std::move(metrics)) {
  for (std::size_t number = 0; number < trials.size(); ++number)
    numbers_[trials[number]].push_back(number);
  find_metrics();
  find_references();
}

void StoredValues::each(const std::string& sql,
                        const std::function<void(const Cells&)>& use) const {
  store_.query(sql, {},
               {.columns = [](const std::vector<std::string>&) {},
                .row =
                    [&](const Cells& row) {
                      use(row);
                      return true;
                    }});
}

void StoredValues::find_metrics() {
  for (std::size_t i = 0; i < metrics_.size(); ++i) {
    each("SELECT id FROM metrics WHERE digest = " + blob(spec(i).definition()),
         [&](const Cells& row) { places_[integer(row[0], 0)].push_back(i); });
  }
}

/// The states that metrics which compare with other trials compare with.
void StoredValues::find_references() {
  std::set<Digest> others;
  for (std::size_t i = 0; i < metrics_.size(); ++i) {
    if (!spec(i).relative()) continue;
    for (std::size_t v = 0; v < experiment_.variations(); ++v) {
      if (const auto other = other_trial(i, v)) others.insert(*other);
    }
  }
  for (auto next = others.begin(); next != others.end();) {
    std::string list;
    for (std::size_t n = 0; n < kMost && next != others.end(); ++n, ++next)
      list += (list.empty() ? "" : ",") + blob(*next);
    each(
        "SELECT t.digest, s.epoch, s.state FROM all_trials AS t CROSS JOIN trial_states AS s "
        "WHERE t.digest IN (" +
            list + ") AND s.trial = t.id",
        [&](const Cells& row) {
          states_[*Digest::from_hex(text(row[0]))][real(row[1])] = integer(row[2], 0);
        });
  }
}

std::optional<Digest> StoredValues::other_trial(std::size_t metric, std::size_t variation) const {
  const auto other = experiment_.reference(spec(metric), variation);
  if (!other) return std::nullopt;
  return trials_[*other * (1 + experiment_.alternatives())];
}

/// Whether a value of the member's is compared with the state that it is meant to be.
bool StoredValues::is_meant(std::size_t number, std::size_t metric, double epoch,
                            std::int64_t reference) const {
  if (!spec(metric).relative()) return reference == 0;
  const auto other = other_trial(metric, experiment_.variation_of(number));
  const auto states = other ? states_.find(*other) : states_.end();
  if (states == states_.end()) return false;
  const auto state = states->second.find(epoch);
  return state != states->second.end() && state->second == reference;
}

std::vector<std::size_t> StoredValues::distinct() const {
  std::vector<std::size_t> first;
  for (std::size_t number = 0; number < trials_.size(); ++number) {
    if (numbers_.at(trials_[number]).front() == number) first.push_back(number);
  }
  return first;
}

std::vector<StoredValues::Row> StoredValues::rows(std::span<const std::size_t> numbers) const {
  assert(numbers.size() <= kMost);
  std::vector<Row> rows;
  if (numbers.empty()) return rows;
  std::string list;
  for (const std::size_t number : numbers)
    list += (list.empty() ? "" : ",") + blob(trials_[number]);
  each("SELECT id, digest, outcome, step, done FROM all_trials WHERE digest IN (" + list + ")",
       [&](const Cells& row) {
         rows.push_back({integer(row[0], 0), &numbers_.at(*Digest::from_hex(text(row[1]))),
                         text(row[2]), integer(row[3], 0), integer(row[4], -1)});
       });
  return rows;
}

void StoredValues::values(const std::vector<Row>& rows, const std::string& when,
                          const std::function<void(const Value&)>& use) const {
  if (rows.empty() || places_.empty()) return;
  std::unordered_map<std::int64_t, const std::vector<std::size_t>*> numbers;
  std::vector<std::int64_t> trials;
  for (const Row& row : rows) {
    if (numbers.emplace(row.id, row.numbers).second) trials.push_back(row.id);
  }
  std::vector<std::int64_t> metrics;
  for (const auto& [id, places] : places_) metrics.push_back(id);
  each(fmt::format("SELECT s.trial, v.metric, v.reference, s.step, s.epoch, v.value "
                   "FROM trial_states AS s CROSS JOIN measurements AS v "
                   "WHERE s.trial IN ({}){} AND v.state = s.state AND v.metric IN ({}) "
                   "ORDER BY s.trial, s.step",
                   fmt::join(trials, ","), when, fmt::join(metrics, ",")),
       [&](const Cells& row) {
         const std::int64_t reference = integer(row[2], 0);
         const double epoch = real(row[4]);
         for (const std::size_t number : *numbers.at(integer(row[0], 0))) {
           for (const std::size_t metric : places_.at(integer(row[1], 0))) {
             if (is_meant(number, metric, epoch, reference))
               use({number, metric, integer(row[3], -1), epoch, real(row[5])});
           }
         }
       });
}

}  // namespace perturb
