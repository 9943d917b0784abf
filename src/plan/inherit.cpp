#include "plan/inherit.h"

#include <algorithm>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include <fmt/format.h>

#include "perturb/experiment/calendar.h"

namespace perturb {

namespace {

/// "trial 3 (seeds.init=3) of "pretrain"".
std::string name_of(const Experiment& experiment, const Trial& trial, std::size_t number) {
  std::string values;
  for (const std::string& path : experiment.varied()) {
    if (const Value* value = trial.condition.find(path))
      values += fmt::format("{}{}={}", values.empty() ? "" : " ", path, experiment.shown(*value));
  }
  return fmt::format("trial {}{} of \"{}\"", number, values.empty() ? "" : " (" + values + ")",
                     experiment.name());
}

bool failed(Outcome outcome) { return outcome != Outcome::Done && outcome != Outcome::Interrupted; }

/// `role`: what the state is to whoever lacks it.
void say_lacking(const Experiment& experiment, const Store& store, const char* role,
                 Inherited& inherited) {
  const Predecessor& from = inherited.from;
  const Experiment& other = *experiment.others()[from.other].experiment;
  const Trial trial = other.trial(from.trial);
  inherited.lacking =
      fmt::format("{} step {} of {}, which ", role, from.step, name_of(other, trial, from.trial));
  const auto known = store.known({trial.id}, {});
  const auto found = known.find(trial.id);
  if (found == known.end() || !failed(found->second.outcome) || found->second.step > from.step) {
    inherited.lacking += "has not been trained that far";
    return;
  }
  const Known& outcome = found->second;
  // The state before the step that failed is still a good one.
  inherited.hopeless = outcome.outcome == Outcome::Diverged && outcome.step < from.step;
  inherited.lacking += outcome.outcome == Outcome::Diverged
                           ? fmt::format("diverged at step {}", outcome.step)
                           : fmt::format("ended at step {}: {}", outcome.step,
                                         outcome.message.empty() ? perturb::name_of(outcome.outcome)
                                                                 : outcome.message);
}

/// What is wanted of one trial.
struct Wish {
  std::size_t number = 0;
  Trial trial;
  std::set<Step> steps;
};

class StatesPlanner {
 public:
  StatesPlanner(const Experiment& experiment, const Store& store)
      : experiment_(experiment), store_(store), saved_at_(store.checkpoint_steps()) {
    for (const MetricSpec& metric : experiment.metrics())
      definitions_.push_back(metric.definition());
    plan_.trials.resize(experiment.trials());
  }

  Plan run(const std::vector<Predecessor>& states) {
    // Controls that are the same trial, but for how far they go, are one.
    std::map<Digest, std::size_t> places;
    std::vector<Wish> wishes;
    for (const Predecessor& state : states) {
      Trial trial = experiment_.trial(state.trial);
      const auto [place, is_new] = places.emplace(trial.id, wishes.size());
      if (is_new) wishes.push_back({state.trial, std::move(trial), {}});
      wishes[place->second].steps.insert(state.step);
    }
    std::vector<Digest> ids;
    for (const Wish& wish : wishes) ids.push_back(wish.trial.id);
    known_ = store_.known(ids, definitions_);
    plan_.distinct = wishes.size();
    for (const Wish& wish : wishes) add(wish);
    plan_.steps_shared = plan_.steps_asked;
    inherit(experiment_, store_, plan_);
    return std::move(plan_);
  }

 private:
  void add(const Wish& wish) {
    Planned& planned = plan_.trials[wish.number];
    planned.trial = wish.trial.id;
    planned.end = *wish.steps.rbegin();
    plan_.steps_asked += planned.end;
    const auto checkpoints = this->checkpoints(wish);
    const std::size_t before = plan_.stages.size();
    for (const Step step : wish.steps) {
      if (!checkpoints.contains(step)) reach(wish, step, checkpoints, before);
    }
    if (plan_.stages.size() == before) {
      planned.reason = Reason::Cached;
      ++plan_.cached;
      return;
    }
    const auto found = known_.find(wish.trial.id);
    const Known* known = found == known_.end() ? nullptr : &found->second;
    planned.reason = !known                            ? Reason::New
                     : failed(known->outcome)          ? Reason::Retried
                     : known->done >= planned.end      ? Reason::Compared
                     : known->outcome == Outcome::Done ? Reason::Longer
                                                       : Reason::Retried;
    planned.from = plan_.stages[before].begin;
    planned.end = plan_.stages.back().end;
    plan_.order.push_back(wish.number);
    for (std::size_t at = before; at < plan_.stages.size(); ++at) finish(wish, plan_.stages[at]);
  }

  /// Blobs of the trial's states up to the last that is wanted, by step.
  std::map<Step, Digest> checkpoints(const Wish& wish) const {
    std::set<Step> steps = wish.steps;
    for (const Step step : saved_at_) {
      if (step > 0 && step < *wish.steps.rbegin()) steps.insert(step);
    }
    std::vector<Digest> states;
    for (const Step step : steps) states.push_back(wish.trial.state(step));
    const auto known = store_.states(states, {});
    std::map<Step, Digest> blobs;
    auto state = states.begin();
    for (const Step step : steps) {
      const auto found = known.find(*state++);
      if (found != known.end() && found->second.checkpoint)
        blobs.emplace(step, found->second.checkpoint->blob);
    }
    return blobs;
  }

  /// From the nearest checkpoint, or by going on with the stage that comes that way anyway.
  void reach(const Wish& wish, Step step, const std::map<Step, Digest>& checkpoints,
             std::size_t first) {
    auto checkpoint = checkpoints.upper_bound(step);
    const bool any = checkpoint != checkpoints.begin();
    if (any) --checkpoint;
    const Step begin = any ? checkpoint->first : 0;
    if (plan_.stages.size() > first && plan_.stages.back().end >= begin) {
      plan_.stages.back().end = step;
    } else {
      Stage stage{.trial = wish.number, .begin = begin, .end = step};
      if (begin > 0) stage.checkpoint = checkpoint->second;
      stage.trials = {wish.number};
      stage.is_an_end = true;
      plan_.stages.push_back(std::move(stage));
    }
    plan_.stages.back().saves.push_back(step);
  }

  void finish(const Wish& wish, Stage& stage) {
    plan_.steps_to_run += stage.steps();
    const std::string& model = wish.trial.start().text("model.kind");
    const std::string& data = wish.trial.start().text("data.kind");
    const auto work = std::find_if(plan_.work.begin(), plan_.work.end(), [&](const Work& one) {
      return one.model == model && one.data == data;
    });
    if (work == plan_.work.end()) {
      plan_.work.push_back({model, data, stage.steps()});
    } else {
      work->steps += stage.steps();
    }
    for (const Measurement& due : experiment_.measurements(wish.trial)) {
      if (due.step > stage.end || due.step < stage.begin) continue;
      if (due.step == stage.begin && stage.begin > 0) continue;
      for (const std::size_t metric : due.metrics) add_need(wish, stage, due.step, metric);
    }
    std::sort(stage.needs.begin(), stage.needs.end());
  }

  void add_need(const Wish& wish, Stage& stage, Step step, std::size_t metric) {
    Need need{step, static_cast<std::uint32_t>(metric)};
    const auto other = experiment_.reference(experiment_.metrics()[metric], wish.trial.variation);
    // Nobody waits for what compares with another variation; whoever asks for it will have it
    // measured from the checkpoints.
    if (other && *other != wish.trial.variation) return;
    if (other) {
      need.reference = plan_.references.size();
      plan_.references.push_back({wish.number, step, wish.trial.state(step), std::nullopt});
    } else if (const auto known = known_.find(wish.trial.id); known != known_.end()) {
      const auto& measured = known->second.measured;
      if (std::find(measured.begin(), measured.end(), std::pair(step, need.metric)) !=
          measured.end())
        return;
    }
    stage.needs.push_back(need);
  }

  const Experiment& experiment_;
  const Store& store_;
  std::vector<Step> saved_at_;
  std::vector<Digest> definitions_;  // of the experiment's metrics
  std::unordered_map<Digest, Known> known_;
  Plan plan_;
};

}  // namespace

void inherit(const Experiment& experiment, const Store& store, Plan& plan) {
  if (experiment.others().empty()) return;
  struct Needed {
    Predecessor from;
    const char* role;
  };
  std::map<Digest, Needed> needed;
  std::set<std::shared_ptr<const std::vector<Predecessor>>> data_sets;
  const auto need_networks = [&](const std::shared_ptr<const std::vector<Predecessor>>& networks,
                                 const char* role) {
    if (!networks || !data_sets.insert(networks).second) return;
    for (const Predecessor& network : *networks)
      needed.emplace(network.state, Needed{network, role});
  };
  const auto need = [&](std::size_t number) {
    const Trial trial = experiment.trial(number);
    if (trial.from) {
      needed.insert_or_assign(trial.from->state, Needed{*trial.from, "it begins with"});
      need_networks(trial.from->learnt_from, "what it begins with was learnt from");
    }
    need_networks(trial.networks, "one of its examples is");
  };
  for (const Stage& stage : plan.stages) need(stage.trial);
  for (const PlannedReference& reference : plan.references) need(reference.trial);
  std::vector<Digest> states;
  for (const auto& [state, one] : needed) states.push_back(state);
  const auto known = store.states(states, {});
  for (const auto& [state, one] : needed) {
    Inherited inherited{.from = one.from, .blob = {}, .lacking = {}};
    const auto found = known.find(state);
    if (found != known.end() && found->second.checkpoint) {
      inherited.blob = found->second.checkpoint->blob;
    } else {
      say_lacking(experiment, store, one.role, inherited);
    }
    plan.inherited.push_back(std::move(inherited));
  }
}

const Inherited* find_inherited(const Plan& plan, const Digest& state) {
  const auto found = std::lower_bound(
      plan.inherited.begin(), plan.inherited.end(), state,
      [](const Inherited& one, const Digest& wanted) { return one.from.state < wanted; });
  return found != plan.inherited.end() && found->from.state == state ? &*found : nullptr;
}

std::vector<Predecessor> lacking_states(const Plan& plan, std::size_t other) {
  std::vector<Predecessor> states;
  for (const Inherited& inherited : plan.inherited) {
    if (inherited.from.other == other && !inherited.blob && !inherited.hopeless)
      states.push_back(inherited.from);
  }
  std::sort(states.begin(), states.end(), [](const Predecessor& a, const Predecessor& b) {
    return std::pair(a.trial, a.step) < std::pair(b.trial, b.step);
  });
  return states;
}

Plan plan_of_states(const Experiment& experiment, const Store& store,
                    const std::vector<Predecessor>& states) {
  return StatesPlanner(experiment, store).run(states);
}

}  // namespace perturb
