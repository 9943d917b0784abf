#include "cli/first.h"

#include <algorithm>
#include <map>
#include <memory>
#include <ranges>
#include <set>
#include <utility>

#include <fmt/format.h>

#include "cli/training.h"
#include "cli/wording.h"
#include "perturb/plan/declaration.h"
#include "perturb/report/table.h"

namespace perturb {

namespace {

using States = std::vector<Predecessor>;

/// All that an experiment goes on from, at once or by way of others: each after what it needs.
void add_in_order(const Experiment& experiment,
                  std::vector<std::shared_ptr<const Experiment>>& order) {
  for (const OtherExperiment& other : experiment.others()) {
    if (std::ranges::find(order, other.experiment) != order.end()) continue;
    add_in_order(*other.experiment, order);
    order.push_back(other.experiment);
  }
}

/// What is wanted of each experiment, each state once.
class Wishes {
 public:
  void add(const Experiment& experiment, const Predecessor& state) {
    const Experiment* theirs = experiment.others()[state.other].experiment.get();
    wanted_[theirs].emplace(state.state, state);
  }
  States of(const Experiment& experiment) const {
    States states;
    const auto found = wanted_.find(&experiment);
    if (found == wanted_.end()) return states;
    for (const auto& [digest, state] : found->second) states.push_back(state);
    std::ranges::sort(states, {}, [](const Predecessor& s) { return std::pair(s.trial, s.step); });
    return states;
  }

 private:
  std::map<const Experiment*, std::map<Digest, Predecessor>> wanted_;
};

void want_of_stages(const Experiment& experiment, const Plan& plan, Wishes& wishes) {
  for (const Inherited& inherited : plan.inherited) {
    if (!inherited.hopeless) wishes.add(experiment, inherited.from);
  }
}

void want_of_trial(const Experiment& experiment, std::size_t number, Wishes& wishes,
                   std::set<const void*>& data_sets) {
  const Trial trial = experiment.trial(number);
  if (trial.from) wishes.add(experiment, *trial.from);
  if (!trial.networks || !data_sets.insert(trial.networks.get()).second) return;
  for (const Predecessor& network : *trial.networks) wishes.add(experiment, network);
}

/// Takes out the states of trials that diverged before them; how many trials these are.
std::size_t drop_diverged(const Experiment& experiment, const Store& store, States& states) {
  std::vector<Digest> ids;
  for (const Predecessor& state : states) ids.push_back(experiment.trial(state.trial).id);
  const auto known = store.known(ids, {});
  std::set<Digest> diverged;
  States left;
  for (std::size_t i = 0; i < states.size(); ++i) {
    const auto found = known.find(ids[i]);
    if (found != known.end() && found->second.outcome == Outcome::Diverged &&
        found->second.step < states[i].step)
      diverged.insert(ids[i]);
    else
      left.push_back(states[i]);
  }
  states = std::move(left);
  return diverged.size();
}

}  // namespace

std::vector<First> first_of(const Experiment& experiment, const Plan& plan, const Store& store) {
  std::vector<std::shared_ptr<const Experiment>> order;
  add_in_order(experiment, order);
  Wishes wishes;
  want_of_stages(experiment, plan, wishes);
  std::vector<First> all;
  // Backwards: what is wanted of one is known when all that go on from it have said so.
  for (const auto& theirs : std::views::reverse(order)) {
    const States states = wishes.of(*theirs);
    if (states.empty()) continue;
    all.push_back({theirs, plan_of_states(*theirs, store, states)});
    want_of_stages(*theirs, all.back().plan, wishes);
  }
  std::ranges::reverse(all);
  return all;
}

std::vector<First> first_of_all(const Experiment& experiment, const Store& store) {
  std::vector<std::shared_ptr<const Experiment>> order;
  add_in_order(experiment, order);
  Wishes wishes;
  std::set<const void*> data_sets;
  for (std::size_t number = 0; number < experiment.trials() && !order.empty(); ++number)
    want_of_trial(experiment, number, wishes, data_sets);
  std::vector<First> all;
  for (const auto& theirs : std::views::reverse(order)) {
    States states = wishes.of(*theirs);
    if (states.empty()) continue;
    for (const Predecessor& state : states) want_of_trial(*theirs, state.trial, wishes, data_sets);
    const std::size_t diverged = drop_diverged(*theirs, store, states);
    all.push_back({theirs, plan_of_states(*theirs, store, states), diverged});
  }
  std::ranges::reverse(all);
  return all;
}

std::optional<double> estimate(const std::vector<First>& first, const Store& store,
                               std::size_t workers) {
  double seconds = 0;
  for (const First& one : first) {
    const auto each = estimate(one.plan, store, workers);
    if (!each) return std::nullopt;
    seconds += *each;
  }
  return seconds;
}

Trained train_first(const Training& training) {
  ExitCode code = ExitCode::Done;
  bool any = false;  // then the plan has to be made anew
  const std::vector<OtherExperiment>& others = training.experiment.others();
  for (std::size_t other = 0; other < others.size(); ++other) {
    const auto wanted = lacking_states(training.plan, other);
    if (wanted.empty()) continue;
    any = true;
    const Experiment& experiment = *others[other].experiment;
    declare(training.store, experiment, make_plan(experiment, training.store));
    for (bool again = true; again;) {
      Plan plan = plan_of_states(experiment, training.store, wanted);
      Training first{training.context, training.options, others[other].file, experiment, plan,
                     training.store};
      const Trained before = train_first(first);
      if (ends_run(before, training.options)) return before;
      code = std::max(code, before.code);
      if (before.again) plan = plan_of_states(experiment, training.store, wanted);
      if (plan.stages.empty()) break;
      if (!training.options.quiet)
        training.context.err.line(fmt::format("first {}, which {} goes on from",
                                              printable(experiment.name()),
                                              printable(training.experiment.name())));
      const Trained trained = train(first);
      if (ends_run(trained, training.options)) return trained;
      code = std::max(code, trained.code);
      again = trained.again;
    }
  }
  return {code, any};
}

}  // namespace perturb
