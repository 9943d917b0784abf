#include "perturb/report/results.h"

#include <cassert>
#include <span>

#include <fmt/format.h>

#include "report/stored_values.h"

namespace perturb {

namespace {

/// Injective.
std::string key_of(const SummaryOptions& options) {
  const auto list = [](const std::vector<std::string>& words) {
    std::string all;
    for (const std::string& word : words) all += framed(word);
    return framed(all);
  };
  const At& at = options.at;
  return list(options.metrics) + (options.by ? list(*options.by) : "-") +
         list(options.average_over) +
         fmt::format("{},{},{}", static_cast<int>(at.kind), at.step, at.epoch);
}

}  // namespace

Results::Results(const Experiment& experiment, const Store& store, std::vector<Digest> trials,
                 std::vector<Step> ends)
    : experiment_(experiment), store_(store), trials_(std::move(trials)), ends_(std::move(ends)) {
  assert(trials_.size() == experiment.trials() && ends_.size() == trials_.size());
}

std::vector<Observation> Results::observe(const SummaryOptions& options) const {
  const auto wanted = quantities(experiment_, options.metrics, options.at);
  check_at(experiment_, wanted, options.at);
  return perturb::observe(experiment_, store_, trials_, ends_, wanted, options.at);
}

const Summary& Results::summary(const SummaryOptions& options) const {
  const std::string key = key_of(options);
  auto made = summaries_.find(key);
  if (made == summaries_.end())
    made = summaries_.emplace(key, summarise(experiment_, observe(options), options)).first;
  return made->second;
}

Results::View Results::view(const SummaryOptions& options) const {
  const std::vector<Observation> observations = observe(options);
  View view{summarise(experiment_, observations, options), {}};
  view.replicates = replicates(experiment_, view.summary, observations);
  return view;
}

const std::vector<MetricHistory>& Results::history(std::size_t metric) const {
  if (const auto read = histories_.find(metric); read != histories_.end()) return read->second;
  std::vector<MetricHistory> histories(trials_.size());
  const Every& every = experiment_.metrics()[metric].every;
  const StoredValues stored(experiment_, store_, trials_, {metric});
  StoredValues::in_parts(stored.distinct(), [&](std::span<const std::size_t> part) {
    stored.values(stored.rows(part), "", [&](const StoredValues::Value& value) {
      if (asks_for(every, value.step, value.epoch, ends_[value.number]))
        histories[value.number].push_back({value.step, value.epoch, value.value});
    });
  });
  return histories_.emplace(metric, std::move(histories)).first->second;
}

Standing Results::standing(std::size_t number) const {
  if (standings_.empty())
    standings_ = perturb::observe(experiment_, store_, trials_, ends_, {}, {});
  return standings_[number].standing;
}

const std::map<std::string, Value>& Results::levels(std::size_t number) const {
  const auto [entry, is_new] = levels_.try_emplace(number);
  if (is_new) {
    for (auto& [name, value] : factors_of(experiment_.trial(number)))
      entry->second.insert_or_assign(name, std::move(value));
  }
  return entry->second;
}

std::optional<Value> Results::level(const SummaryRow& row, const std::string& factor) const {
  std::optional<Value> common;
  for (const std::size_t number : row.numbers) {
    const auto& all = levels(number);
    const auto found = all.find(factor);
    if (found == all.end() || (common && *common != found->second)) return std::nullopt;
    common = found->second;
  }
  return common;
}

}  // namespace perturb
