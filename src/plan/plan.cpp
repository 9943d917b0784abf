#include "perturb/plan/plan.h"

#include <algorithm>
#include <cassert>
#include <functional>
#include <iterator>
#include <map>
#include <set>
#include <unordered_map>
#include <utility>

#include "perturb/core/random.h"
#include "perturb/experiment/calendar.h"
#include "perturb/plan/ahead.h"
#include "plan/inherit.h"
#include "plan/stages.h"
#include "plan/tree.h"

namespace perturb {

namespace {

/// What is wanted at which step. Trials that take the same batches to the same end want the same,
/// so that a grid of 100,000 has a handful of agendas; where metrics compare, one for each
/// variation.
class Agendas {
 public:
  explicit Agendas(const Experiment& experiment) : experiment_(experiment), wishes_({}) {
    // Two entries of the file may ask for one metric, at different times.
    std::vector<Digest> definitions;
    for (const MetricSpec& metric : experiment.metrics()) {
      const Digest definition = metric.definition();
      const auto found = std::find(definitions.begin(), definitions.end(), definition);
      index_.push_back(static_cast<std::uint32_t>(found - definitions.begin()));
      if (found == definitions.end()) definitions.push_back(definition);
      compares_ = compares_ || metric.relative();
    }
    wishes_ = Wishes(std::move(definitions));
  }

  const Wishes& wishes() const { return wishes_; }
  bool compares() const { return compares_; }
  /// The metric of the experiment that has this definition, the first of several.
  std::uint32_t metric(std::uint32_t definition) const {
    const auto found = std::find(index_.begin(), index_.end(), definition);
    return static_cast<std::uint32_t>(found - index_.begin());
  }
  /// Sorted.
  const std::vector<Wanted>& at(std::size_t agenda) const { return agendas_[agenda].all; }
  /// The same without what compares.
  const std::vector<Wanted>& plain(std::size_t agenda) const { return agendas_[agenda].plain; }

  std::size_t of(const Trial& trial, Step end) {
    key_.clear();
    add(end);
    add(experiment_.data(trial).train);
    if (compares_) add(static_cast<std::int64_t>(trial.variation));
    if (const Value* task = trial.condition.find("task.kind")) key_ += canonical(*task);
    for (const Stretch& stretch : trial.timeline.stretches) {
      add(stretch.window.begin);
      const Value* size = stretch.condition.find("data.batch_size");
      add(size ? size->as_int() : 0);
    }
    const auto [entry, is_new] = keys_.try_emplace(key_, agendas_.size());
    if (is_new) agendas_.push_back(agenda(trial));
    return entry->second;
  }

 private:
  struct Agenda {
    std::vector<Wanted> all;
    std::vector<Wanted> plain;
  };

  void add(std::int64_t number) {
    key_.append(reinterpret_cast<const char*>(&number), sizeof number);
  }

  Agenda agenda(const Trial& trial) {
    Agenda agenda;
    for (const Measurement& measurement : experiment_.measurements(trial)) {
      for (const std::size_t metric : measurement.metrics) {
        const auto other = experiment_.reference(experiment_.metrics()[metric], trial.variation);
        agenda.all.emplace_back(measurement.step, wishes_.of(index_[metric], other));
      }
    }
    std::sort(agenda.all.begin(), agenda.all.end());
    agenda.all.erase(std::unique(agenda.all.begin(), agenda.all.end()), agenda.all.end());
    std::copy_if(agenda.all.begin(), agenda.all.end(), std::back_inserter(agenda.plain),
                 [&](const Wanted& wanted) { return !wishes_.compares(wanted.second); });
    return agenda;
  }

  const Experiment& experiment_;
  Wishes wishes_;
  bool compares_ = false;
  std::vector<std::uint32_t> index_;  // metric of the experiment -> place among definitions
  std::string key_;                   // kept, for its memory
  std::unordered_map<std::string, std::size_t> keys_;
  std::vector<Agenda> agendas_;
};

/// Whether everything wanted before step `until` has been measured.
bool measured(const std::vector<Wanted>& wanted, Step until, Known& known) {
  std::sort(known.measured.begin(), known.measured.end());
  const auto end = std::lower_bound(wanted.begin(), wanted.end(), Wanted{until, 0});
  return std::includes(known.measured.begin(), known.measured.end(), wanted.begin(), end);
}

Reason reason(Known& known, const std::vector<Wanted>& wanted, Step end) {
  // A failure says at which step it failed, so the states before it were reached; whoever now
  // asks for less than that asks for something that did not fail.
  const bool failed_later = known.outcome != Outcome::Done && known.step > end;
  if (known.done >= end || failed_later)
    return measured(wanted, kForever, known) ? Reason::Cached : Reason::Unmeasured;
  switch (known.outcome) {
    case Outcome::Done:
      return Reason::Longer;
    case Outcome::Diverged:
      return measured(wanted, known.step, known) ? Reason::Diverged : Reason::Unmeasured;
    default:
      return Reason::Retried;
  }
}

void add_work(Plan& plan, const std::string& model, const std::string& data, Step steps) {
  for (Work& work : plan.work) {
    if (work.model == model && work.data == data) {
      work.steps += steps;
      return;
    }
  }
  plan.work.push_back({model, data, steps});
}

/// Model and data of the trials, as small numbers: two strings a trial would be most of the
/// memory of a large plan.
class Kinds {
 public:
  std::uint32_t of(const Condition& condition) {
    const Value* model = condition.find("model.kind");
    const Value* data = condition.find("data.kind");
    const auto same = [](const Value* value, const std::string& text) {
      return value ? value->as_string() == text : text.empty();
    };
    for (std::size_t i = 0; i < kinds_.size(); ++i) {
      if (same(model, kinds_[i].first) && same(data, kinds_[i].second))
        return static_cast<std::uint32_t>(i);
    }
    kinds_.emplace_back(model ? model->as_string() : "", data ? data->as_string() : "");
    return static_cast<std::uint32_t>(kinds_.size() - 1);
  }
  const std::pair<std::string, std::string>& at(std::uint32_t kind) const { return kinds_[kind]; }

 private:
  std::vector<std::pair<std::string, std::string>> kinds_;
};

}  // namespace

std::string_view name_of(Reason reason) {
  switch (reason) {
    case Reason::Cached:
      return "cached";
    case Reason::Diverged:
      return "diverged";
    case Reason::New:
      return "new";
    case Reason::Longer:
      return "longer";
    case Reason::Unmeasured:
      return "unmeasured";
    case Reason::Retried:
      return "retried";
    case Reason::Compared:
      return "compared";
  }
  assert(false && "every reason has a name");
  return {};
}

bool runs(Reason reason) { return reason != Reason::Cached && reason != Reason::Diverged; }

namespace {

/// All that does not run anyway: it may have to be compared, or others with it.
void add_compared(const Plan& plan, const std::function<void(std::size_t)>& add) {
  std::vector<bool> there(plan.trials.size());
  for (const std::size_t number : plan.order) there[number] = true;
  for (std::size_t number = 0; number < plan.trials.size(); ++number) {
    if (!there[number]) add(number);
  }
}

}  // namespace

Plan make_plan(const Experiment& experiment, const Store& store) {
  const std::size_t count = experiment.trials();
  Plan plan;
  plan.trials.resize(count);

  Agendas agendas(experiment);
  Kinds kinds;
  Tree tree;
  struct Notes {
    std::uint32_t agenda;
    std::uint32_t kind;
    std::uint32_t segment;
  };
  std::vector<Notes> notes(count);
  // Run length is not part of identity, so members that differ in it alone are one trial: the
  // longest of them answers for the others.
  std::unordered_map<Digest, std::size_t> longest;
  longest.reserve(count);
  std::vector<Digest> distinct;
  bool draws = false;
  for (std::size_t number = 0; number < count; ++number) {
    const Trial trial = experiment.trial(number);
    draws = draws || trial.toward;
    Planned& planned = plan.trials[number];
    planned.trial = trial.id;
    planned.end = experiment.end(trial);
    const auto [entry, is_new] = longest.try_emplace(trial.id, number);
    if (is_new) distinct.push_back(trial.id);
    if (plan.trials[entry->second].end < planned.end) entry->second = number;
    notes[number] = {static_cast<std::uint32_t>(agendas.of(trial, planned.end)),
                     kinds.of(trial.condition),
                     static_cast<std::uint32_t>(tree.add(trial, planned.end))};
  }
  plan.distinct = distinct.size();
  plan.steps_shared = tree.steps();

  auto known = store.known(distinct, agendas.wishes().definitions());
  const auto reason_of = [&](std::size_t number) {
    const Planned& planned = plan.trials[number];
    const auto entry = known.find(planned.trial);
    if (entry == known.end()) return Reason::New;
    return reason(entry->second, agendas.plain(notes[number].agenda), planned.end);
  };
  for (std::size_t number = 0; number < count; ++number) {
    Planned& planned = plan.trials[number];
    planned.reason = reason_of(number);
    const std::size_t answers = longest.at(planned.trial);
    if (answers != number) {
      // Only what is measured "at the end of the run" can be missing from the longest.
      const auto& mine = agendas.plain(notes[number].agenda);
      const auto& theirs = agendas.plain(notes[answers].agenda);
      planned.first = runs(planned.reason) &&
                      !(runs(reason_of(answers)) &&
                        std::includes(theirs.begin(), theirs.end(), mine.begin(), mine.end()));
      if (!planned.first) continue;
    }
    plan.steps_asked += planned.end;
    if (runs(planned.reason)) {
      plan.order.push_back(number);
    } else {
      ++plan.cached;
    }
  }

  // Controls first: whatever is compared with them has something to be compared with early.
  const std::size_t stride = 1 + experiment.alternatives();
  std::stable_partition(plan.order.begin(), plan.order.end(),
                        [&](std::size_t number) { return number % stride == 0; });

  std::vector<Wanting> wanting;
  wanting.reserve(plan.order.size());
  const auto add = [&](std::size_t number) {
    const Notes& note = notes[number];
    const Planned& planned = plan.trials[number];
    wanting.push_back({number, note.segment, note.agenda, &agendas.at(note.agenda),
                       runs(planned.reason), std::nullopt});
    if (planned.reason == Reason::Diverged) wanting.back().until = known.at(planned.trial).step;
  };
  for (const std::size_t number : plan.order) add(number);
  // Only the stages know what has been compared: whatever compares or is compared with comes along.
  const bool compares = agendas.compares() || draws;
  if (compares) add_compared(plan, add);
  std::unordered_map<std::size_t, std::size_t> place_of;  // of controls among those wanting
  for (std::size_t place = 0; place < wanting.size(); ++place) {
    if (compares) place_of.emplace(wanting[place].number, place);
  }
  Staged staged = make_stages(
      {.experiment = experiment,
       .store = store,
       .tree = tree,
       .trials = wanting,
       .wishes = agendas.wishes(),
       .control = [&](std::size_t variation) { return place_of.at(variation * stride); },
       .reaches =
           [&](std::size_t variation, Step step) {
             const auto entry = known.find(plan.trials[variation * stride].trial);
             return entry == known.end() || entry->second.outcome != Outcome::Diverged ||
                    step <= entry->second.step;
           },
       .draws = draws});
  std::vector<bool> measures(compares ? count : 0);  // by trial: something of it is missing
  for (const Stage& stage : staged.stages) {
    for (const std::size_t number : stage.trials) {
      if (compares && !stage.needs.empty()) measures[number] = true;
    }
  }
  std::vector<std::size_t> order;
  for (std::size_t place = 0; place < wanting.size(); ++place) {
    Planned& planned = plan.trials[wanting[place].number];
    const auto from = staged.from[place];
    if (from) {
      planned.from = *from;
      order.push_back(wanting[place].number);
    }
    if (from && !runs(planned.reason)) {
      planned.reason = measures[wanting[place].number] ? Reason::Unmeasured : Reason::Compared;
      if (planned.first) --plan.cached;
    } else if (!from && runs(planned.reason) && planned.first) {
      // Others went through all its states.
      planned.reason = Reason::Cached;
      ++plan.cached;
    }
  }
  plan.order = std::move(order);
  plan.stages = std::move(staged.stages);
  plan.adoptions = std::move(staged.adoptions);
  plan.references = std::move(staged.references);
  for (Stage& stage : plan.stages) {
    for (Need& need : stage.needs) need.metric = agendas.metric(need.metric);
    plan.steps_to_run += stage.steps();
    const auto& [model, data] = kinds.at(notes[stage.trial].kind);
    add_work(plan, model, data, stage.steps());
  }
  inherit(experiment, store, plan);
  return plan;
}

void shuffle(Plan& plan, std::uint64_t seed) {
  const std::size_t count = plan.stages.size();
  std::vector<std::size_t> place(count);  // by former number
  std::vector<Stage> shuffled;
  shuffled.reserve(count);
  for (const std::int64_t drawn : Random(seed, "order of stages").permutation(count)) {
    // What a stage goes on from comes earlier.
    std::vector<std::size_t> ancestry;
    for (auto at = static_cast<std::size_t>(drawn);
         at != kNone && plan.stages[at].begin != kForever; at = plan.stages[at].parent)
      ancestry.push_back(at);
    for (auto at = ancestry.rbegin(); at != ancestry.rend(); ++at) {
      place[*at] = shuffled.size();
      shuffled.push_back(plan.stages[*at]);
      Stage& stage = shuffled.back();
      if (stage.parent != kNone) stage.parent = place[stage.parent];
      plan.stages[*at].begin = kForever;  // taken
    }
  }
  for (Stage& stage : shuffled) {
    for (std::size_t& other : stage.after) other = place[other];
  }
  plan.stages = std::move(shuffled);
}

namespace {

/// Why a state of another experiment is not to be had; empty where it is, and its blob with it.
std::string find_blob(const Plan& plan, const Digest& state, std::optional<Digest>& blob) {
  const Inherited* inherited = find_inherited(plan, state);
  assert(inherited && "a plan knows what its stages go on from");
  blob = inherited->blob;
  return inherited->lacking;
}

/// Likewise, of the first that is not.
std::string find_blobs(const Plan& plan, TrainedNetworks& population) {
  std::string lacking;
  for (auto& network : population.networks) {
    auto why = find_blob(plan, network.state, network.blob);
    if (lacking.empty()) lacking = std::move(why);
  }
  return lacking;
}

std::string find_blobs(const Plan& plan, Ancestor& from) {
  auto lacking = find_blob(plan, from.state, from.blob);
  auto others = find_blobs(plan, from.learnt_from);
  return lacking.empty() ? others : lacking;
}

/// What a need compares with; nothing when that state is not to be had. `saved` is null where that
/// is not known yet.
std::optional<Reference> reference(const Experiment& experiment, const Plan& plan,
                                   const PlannedReference& planned, const Digest& own,
                                   const SavedStates* saved) {
  Reference out{planned.step, planned.state, planned.blob, {}, {}};
  if (planned.state == own) {
    out.blob.reset();
  } else if (!out.blob && !saved) {
    out.blob = kBlobToCome;
  } else if (!out.blob) {
    const auto found = saved->find(planned.state);
    if (found == saved->end()) return std::nullopt;
    out.blob = found->second;
  }
  const Trial trial = experiment.trial(planned.trial);
  out.start = trial.start();
  if (trial.from) {
    out.from = experiment.ancestor(*trial.from);
    if (!find_blobs(plan, *out.from).empty()) return std::nullopt;
  }
  return out;
}

/// What the trial begins with and learns from, or why it cannot.
void add_inherited(const Experiment& experiment, const Plan& plan, Assignment& out) {
  if (out.trial.from) {
    out.from = experiment.ancestor(*out.trial.from);
    out.refused = find_blobs(plan, *out.from);
  }
  if (!out.trial.networks || out.trial.networks->empty()) return;
  out.population = experiment.trained(*out.trial.networks);
  auto lacking = find_blobs(plan, *out.population);
  if (out.refused.empty()) out.refused = std::move(lacking);
}

void add_measurements(const Experiment& experiment, const Plan& plan, const Stage& stage,
                      const SavedStates* saved, const Calendar& calendar, Assignment& out) {
  std::size_t last = kNone;  // the reference of the last measurement
  for (const Need& need : stage.needs) {
    auto& all = out.measurements;
    const bool same = !all.empty() && all.back().step == need.step && need.reference == last;
    if (!same) {
      Measurement next{
          need.step, calendar.epochs_before(need.step), out.trial.state(need.step), {}, {}};
      if (need.reference != kNone) {
        next.reference =
            reference(experiment, plan, plan.references[need.reference], next.state, saved);
        if (!next.reference) continue;
      }
      last = need.reference;
      all.push_back(std::move(next));
    }
    all.back().metrics.push_back(need.metric);
  }
}

void add_drawn(const Experiment& experiment, const Plan& plan, const SavedStates* saved,
               const Calendar& calendar, Assignment& out) {
  const Trial control = experiment.trial(*out.trial.toward, 0);
  const Calendar there(control.timeline, experiment.data(control).train);
  for (const Step step : out.trial.drawn(out.begin, out.end)) {
    const auto at = there.matching(calendar.batch(step));
    if (!at) continue;
    const Digest state = control.state(*at);
    const auto planned = std::find_if(plan.references.begin(), plan.references.end(),
                                      [&](const auto& one) { return one.state == state; });
    if (planned == plan.references.end()) continue;
    if (auto found = reference(experiment, plan, *planned, {}, saved))
      out.drawn.emplace(step, *found);
  }
}

Assignment make_assignment(const Experiment& experiment, const Plan& plan, std::size_t number,
                           const SavedStates* saved) {
  const Stage& stage = plan.stages[number];
  Assignment out;
  out.trial = experiment.trial(stage.trial);
  out.examples = experiment.data(out.trial).train;
  out.begin = stage.begin;
  out.end = stage.end;
  out.start = out.trial.state(stage.begin);
  out.checkpoint = stage.checkpoint;
  if (!out.checkpoint && !saved && stage.parent != kNone) {
    out.checkpoint = kBlobToCome;
  } else if (!out.checkpoint && saved) {
    if (const auto found = saved->find(out.start); found != saved->end())
      out.checkpoint = found->second;
  }
  out.last = out.trial.state(stage.end);
  out.heirs = stage.heirs;
  out.metrics = experiment.metrics();
  add_inherited(experiment, plan, out);

  const Calendar calendar(out.trial.timeline, out.examples);
  add_measurements(experiment, plan, stage, saved, calendar, out);

  if (out.trial.toward) add_drawn(experiment, plan, saved, calendar, out);

  const CheckpointPolicy& policy = experiment.checkpoints();
  std::map<Step, bool> saves;  // whether it may be left out
  // Who wants all of them wants them for metrics to come.
  const bool spare = !policy.stated && policy.keep != CheckpointPolicy::Keep::All;
  for (const Step step : experiment.saves(out.trial)) {
    if (step > stage.begin && step <= stage.end) saves.emplace(step, spare && step < stage.end);
  }
  const bool saving = policy.every.kind != Every::Kind::Never;
  if (saving && stage.is_an_end && stage.end > stage.begin) saves[stage.end] = false;
  for (const Step step : stage.saves) saves[step] = false;
  for (const auto& [step, left_out] : saves)
    out.saves.push_back({step, calendar.epochs_before(step), out.trial.state(step), left_out});
  return out;
}

}  // namespace

Assignment assignment(const Experiment& experiment, const Plan& plan, std::size_t number,
                      const SavedStates& saved) {
  return make_assignment(experiment, plan, number, &saved);
}

Assignment assignment_ahead(const Experiment& experiment, const Plan& plan, std::size_t number) {
  return make_assignment(experiment, plan, number, nullptr);
}

std::optional<Assignment> bound(Assignment assignment, const FindBlob& find) {
  const auto bind = [&](std::optional<Digest>& blob, const Digest& state) {
    if (blob != kBlobToCome) return;
    if (const auto found = find(state)) blob = *found;
  };
  bind(assignment.checkpoint, assignment.start);
  if (assignment.checkpoint == kBlobToCome) return std::nullopt;
  for (Measurement& measurement : assignment.measurements) {
    if (measurement.reference) bind(measurement.reference->blob, measurement.reference->state);
  }
  std::erase_if(assignment.measurements, [](const Measurement& measurement) {
    return measurement.reference && measurement.reference->blob == kBlobToCome;
  });
  for (auto& [step, reference] : assignment.drawn) bind(reference.blob, reference.state);
  std::erase_if(assignment.drawn, [](const auto& one) { return one.second.blob == kBlobToCome; });
  return assignment;
}

std::vector<Digest> held_states(const Experiment& experiment, const Plan& plan) {
  std::vector<Digest> held;
  for (const Adoption& adoption : plan.adoptions) {
    for (const StateAt& at : adoption.states) held.push_back(at.state);
  }
  for (const PlannedReference& reference : plan.references) held.push_back(reference.state);
  for (const Stage& stage : plan.stages) {
    if (stage.saves.empty()) continue;
    const Trial trial = experiment.trial(stage.trial);
    for (const Step step : stage.saves) held.push_back(trial.state(step));
  }
  return held;
}

std::vector<Digest> still_compared(const Plan& plan, const std::vector<bool>& over) {
  std::set<Digest> states;
  for (std::size_t number = 0; number < plan.stages.size(); ++number) {
    if (over[number]) continue;
    for (const Need& need : plan.stages[number].needs) {
      if (need.reference != kNone) states.insert(plan.references[need.reference].state);
    }
    if (!plan.stages[number].draws) continue;
    for (const PlannedReference& reference : plan.references) states.insert(reference.state);
  }
  return {states.begin(), states.end()};
}

void name_states(const Experiment& experiment, const Stage& stage, Record& record) {
  for (Saved& saved : record.saved) {
    if (saved.state != Digest{}) continue;
    const Trial trial = experiment.trial(stage.trial);
    saved.state = trial.state(saved.step);
    saved.epoch = Calendar(trial.timeline, experiment.data(trial).train).epochs_before(saved.step);
  }
}

std::optional<double> estimate(const Plan& plan, const Store& store, std::size_t workers) {
  double seconds = 0;
  for (const Work& work : plan.work) {
    const double each = store.seconds_per_step(work.model, work.data);
    if (each <= 0) return std::nullopt;
    seconds += each * static_cast<double>(work.steps);
  }
  const std::size_t busy =
      std::clamp<std::size_t>(workers, 1, std::max<std::size_t>(1, plan.stages.size()));
  return seconds / static_cast<double>(busy);
}

}  // namespace perturb
