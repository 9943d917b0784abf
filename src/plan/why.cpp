#include "perturb/plan/why.h"

#include <algorithm>
#include <set>
#include <unordered_map>
#include <utility>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "plan/inherit.h"

namespace perturb {

namespace {

using Json = nlohmann::json;

constexpr const char* kIntervention = "intervention";
constexpr const char* kHorizon = "schedule.horizon, the end of the run";

std::string text_of(const Json& json) {
  return json.is_string() ? json.get<std::string>()
                          : json.dump(-1, ' ', false, Json::error_handler_t::replace);
}

/// A store may hold anything; what cannot be read tells nothing.
void add_texts(Makeup& all, const std::string& object) {
  const Json json = Json::parse(object, nullptr, /*allow_exceptions=*/false);
  if (!json.is_object()) return;
  for (const auto& [name, value] : json.items()) all[name] = text_of(value);
}

std::string step_text(Step step) { return fmt::format("step {}", step); }

/// Where training begins, and why there.
std::string beginning(const Planned& planned) {
  if (planned.from == 0) return "trained from the beginning: there is no checkpoint on its way";
  return fmt::format("goes on from {}", step_text(planned.from));
}

class Explainer {
 public:
  Explainer(const Experiment& experiment, const Plan& plan, const Store& store)
      : experiment_(experiment), plan_(plan), store_(store) {}

  std::vector<Explanation> explain(const std::vector<std::size_t>& trials) {
    std::vector<Digest> ids;
    for (const std::size_t number : trials) ids.push_back(plan_.trials[number].trial);
    known_ = store_.known(ids, {});
    find_missing(trials);
    std::vector<Explanation> all;
    for (const std::size_t number : trials) {
      all.push_back({.number = number,
                     .because = because(number),
                     .nearest = {},
                     .differences = {},
                     .advice = {}});
    }
    find_nearest(all);
    return all;
  }

 private:
  /// Steps and labels of what has yet to be measured, by trial.
  void find_missing(const std::vector<std::size_t>& trials) {
    const std::set<std::size_t> asked(trials.begin(), trials.end());
    for (const Stage& stage : plan_.stages) {
      for (const std::size_t number : stage.trials) {
        if (!asked.contains(number)) continue;
        for (const Need& need : stage.needs)
          missing_[number][experiment_.metrics()[need.metric].label].insert(need.step);
      }
    }
  }

  std::string because(std::size_t number) const {
    std::string text = reason(number);
    for (const Predecessor& needed : experiment_.trial(number).inherited()) {
      const Inherited* inherited = find_inherited(plan_, needed.state);
      if (inherited && !inherited->lacking.empty()) return text + "; " + inherited->lacking;
    }
    return text;
  }

  std::string reason(std::size_t number) const {
    const Planned& planned = plan_.trials[number];
    if (!planned.first) return "the same trial as another member of the experiment, which answers";
    const auto found = known_.find(planned.trial);
    const Known known = found == known_.end() ? Known{} : found->second;
    switch (planned.reason) {
      case Reason::Cached:
        if (found == known_.end() || known.done < planned.end)
          return "other trials went through all its states, and everything was measured";
        return fmt::format("all {} steps were trained, and everything was measured", planned.end);
      case Reason::Diverged:
        return fmt::format("it diverged at {}, and would again, bit for bit",
                           step_text(known.step));
      case Reason::New:
        if (planned.from == 0) return "the store has nothing of its past";
        return fmt::format("its first {} steps are known from other trials", planned.from);
      case Reason::Longer:
        return fmt::format("trained to step {} of {}; {}", known.done, planned.end,
                           beginning(planned));
      case Reason::Compared:
        return "others are compared with states of it that no checkpoint has; " +
               beginning(planned);
      case Reason::Unmeasured:
        return unmeasured(number) + "; " + beginning(planned);
      case Reason::Retried:
        return fmt::format("{} at {}{}{}; {}", name_of(known.outcome), step_text(known.step),
                           known.message.empty() ? "" : ": ", known.message, beginning(planned));
    }
    return {};
  }

  std::string unmeasured(std::size_t number) const {
    const auto found = missing_.find(number);
    if (found == missing_.end()) return "something was not measured";
    const auto& [label, steps] = *found->second.begin();
    std::string text = fmt::format("{} was not measured at {}", label, step_text(*steps.begin()));
    if (steps.size() > 1) text += fmt::format(" and {} more", steps.size() - 1);
    if (found->second.size() > 1)
      text += fmt::format(", nor were {} other metrics", found->second.size() - 1);
    return text;
  }

  void find_nearest(std::vector<Explanation>& all) const {
    struct Asked {
      Explanation* explanation;
      Trial trial;
      Makeup makeup;
    };
    std::vector<Asked> asked;
    for (Explanation& one : all) {
      const Planned& planned = plan_.trials[one.number];
      if (!planned.first || planned.reason != Reason::New) continue;
      Trial trial = experiment_.trial(one.number);
      Makeup made_of = makeup(experiment_, trial);
      asked.push_back({&one, std::move(trial), std::move(made_of)});
    }
    if (asked.empty()) return;
    store_.each_trial([&](const StoredTrial& stored) {
      const Makeup there = makeup(stored);
      for (Asked& one : asked) {
        Makeup of_identity = there;
        std::erase_if(of_identity, [&](const auto& entry) {
          const bool is_field = one.trial.start().has(entry.first);
          return is_field && !experiment_.matters(one.trial, entry.first);
        });
        auto different = differences(one.makeup, of_identity);
        auto& nearest = *one.explanation;
        if (nearest.nearest && different.size() >= nearest.differences.size()) continue;
        nearest.nearest = stored;
        nearest.differences = std::move(different);
      }
    });
    for (Asked& one : asked) one.explanation->advice = advice(*one.explanation);
  }

  static std::string advice(const Explanation& explanation) {
    const auto& different = explanation.differences;
    if (different.size() == 1 && different.front().name == kHorizon) {
      return fmt::format(
          "the schedule ends with the run, so a longer run differs from its first step on: with "
          "schedule.horizon={} it would go on from what is there",
          different.front().there);
    }
    return {};
  }

  const Experiment& experiment_;
  const Plan& plan_;
  const Store& store_;
  std::unordered_map<Digest, Known> known_;
  std::map<std::size_t, std::map<std::string, std::set<Step>>> missing_;
};

}  // namespace

Makeup makeup(const Experiment& experiment, const Trial& trial) {
  Makeup all;
  add_texts(all, to_json(trial.condition));
  std::erase_if(all, [&](const auto& entry) { return !experiment.matters(trial, entry.first); });
  all[kIntervention] = to_json(trial.operations);
  for (const auto& [name, text] : experiment.ingredients(trial)) all[name] = text;
  return all;
}

Makeup makeup(const StoredTrial& trial) {
  Makeup all;
  add_texts(all, trial.condition);
  all[kIntervention] = trial.operations;
  add_texts(all, trial.ingredients);
  return all;
}

std::vector<Difference> differences(const Makeup& here, const Makeup& there) {
  std::vector<Difference> all;
  for (const auto& [name, text] : here) {
    const auto other = there.find(name);
    if (other == there.end()) {
      all.push_back({name, text, ""});
    } else if (other->second != text) {
      all.push_back({name, text, other->second});
    }
  }
  for (const auto& [name, text] : there) {
    if (!here.contains(name)) all.push_back({name, "", text});
  }
  return all;
}

std::string blocked_reuse(const Experiment& experiment, const Plan& plan, const Store& store) {
  for (const std::size_t number : plan.order) {
    const Planned& planned = plan.trials[number];
    if (planned.reason != Reason::New || planned.from > 0) continue;
    // One stands for all: trials that differ in other things share the schedule.
    if (!experiment.ingredients(experiment.trial(number)).contains(kHorizon)) return {};
    return explain(experiment, plan, store, {number}).front().advice;
  }
  return {};
}

std::vector<Explanation> explain(const Experiment& experiment, const Plan& plan, const Store& store,
                                 const std::vector<std::size_t>& trials) {
  return Explainer(experiment, plan, store).explain(trials);
}

}  // namespace perturb
