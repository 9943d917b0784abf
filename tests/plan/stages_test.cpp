// Plans carried out by a trainer that only counts: no step twice, none too many, nothing missing.
#include <algorithm>
#include <map>
#include <set>
#include <string>

#include <doctest/doctest.h>

#include "experiment/declared.h"
#include "perturb/core/random.h"
#include "perturb/plan/declaration.h"
#include "perturb/plan/plan.h"

namespace {

using namespace perturb;

/// A store and a trainer. A state's checkpoint is a blob of the state's own digest.
class World {
 public:
  World() : store(Store::in_memory()), run(store.begin_run({"test", "test", "0", "{}"})) {}

  /// Carries `stages` stages of the plan out, all by default; returns the steps taken.
  std::int64_t carry_out(const Experiment& experiment, const Plan& plan,
                         std::size_t stages = kNone) {
    declare(store, experiment, plan);
    for (const Adoption& adoption : plan.adoptions) {
      const Planned& planned = plan.trials[adoption.trial];
      store.adopt(run, planned.trial, adoption.states,
                  adoption.done ? std::optional(planned.end) : std::nullopt);
    }
    store.hold(held_states(experiment, plan));
    left_.clear();  // memory ends with the process
    saved_.clear();
    std::int64_t steps = 0;
    std::vector<bool> over(plan.stages.size());
    for (stages = std::min(stages, plan.stages.size()); stages > 0; --stages) {
      std::size_t next = 0;
      while (over[next] || !can_begin(plan.stages[next], over)) ++next;
      steps += carry_out(experiment, plan, plan.stages[next], next);
      over[next] = true;
    }
    store.release(still_compared(plan, over));
    store.flush();
    return steps;
  }

  /// Of all checkpoints that there are now.
  std::set<Digest> saved() const {
    std::set<Digest> all;
    for (const auto& row : store.query("select lower(hex(blob)) from checkpoints").rows)
      all.insert(*Digest::from_hex(std::get<std::string>(row[0])));
    return all;
  }

  /// Everything that users see.
  std::vector<std::vector<Cell>> results() const {
    return store.query("select * from results").rows;
  }

  Store store;
  RunId run;

 private:
  static bool can_begin(const Stage& stage, const std::vector<bool>& over) {
    return (stage.parent == kNone || over[stage.parent]) &&
           std::all_of(stage.after.begin(), stage.after.end(),
                       [&](std::size_t other) { return over[other]; });
  }

  std::int64_t carry_out(const Experiment& experiment, const Plan& plan, const Stage& stage,
                         std::size_t number) {
    const Assignment work = assignment(experiment, plan, number, saved_);
    INFO("stage ", number, " from ", work.begin, " to ", work.end);
    store.flush();
    if (work.begin > 0 && !left_.contains(work.start)) {
      REQUIRE(work.checkpoint);
      CHECK(saved().contains(*work.checkpoint));
      CHECK(*work.checkpoint == work.start);
    }
    std::size_t needs = 0;
    Record record;
    record.trial = work.trial.id;
    record.outcome = Outcome::Done;
    record.step = work.end;
    record.trained = work.end - work.begin;
    Step before = work.begin;
    for (const Measurement& m : work.measurements) {
      CHECK(m.step >= before);
      CHECK(m.step <= work.end);
      CHECK(m.state == work.trial.state(m.step));
      before = m.step;
      needs += m.metrics.size();
      if (m.reference) check_reference(experiment, m);
      for (const std::size_t metric : m.metrics) {
        record.measured.push_back({m.step, m.epoch, m.state, work.metrics[metric].definition(),
                                   static_cast<double>(m.step)});
        if (m.reference) record.measured.back().reference = m.reference->state;
      }
    }
    CHECK(needs == stage.needs.size());
    for (const Step step : work.trial.drawn(work.begin, work.end)) {
      REQUIRE(work.drawn.contains(step));
      CHECK(saved().contains(*work.drawn.at(step).blob));
      CHECK(*work.drawn.at(step).blob == work.drawn.at(step).state);
    }
    for (const Save& save : work.saves) {
      record.saved.push_back({save.step, save.epoch, save.state, save.state, 8});
      saved_[save.state] = save.state;
    }
    left_.insert(work.last);
    std::vector<Share> shares;
    for (const std::size_t trial : stage.trials) {
      // All of them really do have this past.
      CHECK(experiment.trial(trial).state(work.end) == work.last);
      shares.push_back({plan.trials[trial].trial, plan.trials[trial].end == work.end});
    }
    store.keep(run, record, shares);
    return work.end - work.begin;
  }

  /// It is the right state, and there.
  void check_reference(const Experiment& experiment, const Measurement& m) const {
    bool right = false;
    for (std::size_t v = 0; v < experiment.variations(); ++v) {
      const Trial control = experiment.trial(v, 0);
      right = right || (m.reference->start == control.start() &&
                        m.reference->state == control.state(m.reference->step));
    }
    CHECK(right);
    if (m.reference->state == m.state) {
      CHECK_FALSE(m.reference->blob);
    } else {
      REQUIRE(m.reference->blob);
      CHECK(*m.reference->blob == m.reference->state);
      CHECK(saved().contains(*m.reference->blob));
    }
  }

  std::set<Digest> left_;
  SavedStates saved_;
};

/// Of one trial, what the store does not have: steps, and states that it would be compared with.
struct Lacking {
  std::set<Step> steps;
  std::set<std::pair<std::size_t, Step>> references;  // variation and step
};

Lacking lacking(const Experiment& experiment, const World& world, std::size_t number) {
  std::vector<Digest> definitions;
  for (const MetricSpec& metric : experiment.metrics()) definitions.push_back(metric.definition());
  const Trial trial = experiment.trial(number);
  Lacking out;
  for (const Measurement& m : experiment.measurements(trial)) {
    const Digest state = trial.state(m.step);
    const auto found = world.store.states({state}, definitions);
    const KnownState known = found.empty() ? KnownState{} : found.begin()->second;
    for (const std::size_t metric : m.metrics) {
      const auto place = static_cast<std::uint32_t>(metric);
      if (!m.reference) {
        if (std::count(known.metrics.begin(), known.metrics.end(), place) == 0)
          out.steps.insert(m.step);
        continue;
      }
      const auto variation = *experiment.reference(experiment.metrics()[metric], trial.variation);
      const Digest other = experiment.trial(variation, 0).state(m.reference->step);
      if (std::count(known.compared.begin(), known.compared.end(), std::pair(place, other)) > 0)
        continue;
      out.steps.insert(m.step);
      if (other != state) out.references.emplace(variation, m.reference->step);
    }
  }
  return out;
}

/// The fewest steps that answer everything, by brute force over single states: from each that is
/// missing back to the nearest checkpoint.
std::int64_t fewest_steps(const Experiment& experiment, const World& world) {
  const auto saved = world.saved();
  std::set<Digest> steps;
  const auto go_back = [&](const Trial& trial, Step at) {
    for (; at > 0 && !saved.contains(trial.state(at)); --at) steps.insert(trial.state(at));
  };
  for (std::size_t number = 0; number < experiment.trials(); ++number) {
    const Lacking missing = lacking(experiment, world, number);
    const Trial trial = experiment.trial(number);
    for (const Step at : missing.steps) go_back(trial, at);
    if (!trial.toward || missing.steps.empty()) continue;
    // A step to state s + 1 is drawn toward the other's state before it.
    for (const Step step : trial.drawn(0, experiment.end(trial))) {
      if (steps.contains(trial.state(step + 1))) go_back(experiment.trial(*trial.toward, 0), step);
    }
  }
  for (std::size_t number = 0; number < experiment.trials(); ++number) {
    const Lacking missing = lacking(experiment, world, number);
    for (const auto& [variation, at] : missing.references)
      go_back(experiment.trial(variation, 0), at);
  }
  return std::ssize(steps);
}

// 10 steps an epoch, 3 epochs.
constexpr const char* kWindows = R"(
[[variations]]
seeds.init = [0, 1]
[[interventions]]
set.optimizer.momentum = [0.5, 0.99]
when = { each = [[0, 5], [10, 15], [20, 25]] }
)";

constexpr const char* kStart = R"(
[[interventions]]
set.optimizer.lr = 0.3
when = { each = [[5, 30], [10, 30], [15, 30], [20, 30], [25, 30]] }
)";

// Compared with the control, which another batch size puts at other steps, and across variations.
constexpr const char* kCompared = R"(
[[variations]]
optimizer.lr = [0.1, 0.2]
[[interventions]]
set.optimizer.momentum = 0.5
when = { each = [[0, 5], [10, 15]] }
[[interventions]]
set.data.batch_size = 50
when = [10, 14]
[[metrics]]
kind = "distance"
to = "control"
every = 4
[[metrics]]
kind = "cosine-similarity"
to = "trial:optimizer.lr=0.1"
)";

// Steps are taken toward another trial's states.
constexpr const char* kDrawn = R"(
[[variations]]
optimizer.lr = [0.1, 0.2]
[[interventions]]
kind = "interpolate-weights"
toward = "trial:optimizer.lr=0.2"
fraction = [0.1, 0.5]
when = [[7, 9], [23, 24]]
)";

// Each variation's control is the other's intervention: they are compared with each other's states.
constexpr const char* kCircle = R"(
[[variations]]
optimizer.lr = [0.1, 0.2]
[[interventions]]
set.optimizer.lr = [0.1, 0.2]
[[metrics]]
kind = "distance"
to = "control"
every = 7
)";

}  // namespace

TEST_CASE("what trials share is trained once") {
  for (const char* rest : {kWindows, kStart, kCompared, kCircle}) {
    const Experiment grid = declared(kBase + std::string(rest));
    World world;
    const Plan plan = make_plan(grid, world.store);
    CHECK(plan.steps_to_run == fewest_steps(grid, world));
    CHECK(plan.steps_to_run == plan.steps_shared);
    CHECK(plan.steps_shared <= plan.steps_asked);
    CHECK(world.carry_out(grid, plan) == plan.steps_to_run);
    const Plan again = make_plan(grid, world.store);
    CHECK(again.stages.empty());
    CHECK(again.cached == again.distinct);
  }
}

TEST_CASE("a run of 30 steps with an intervention from each of 5 points on takes what it must") {
  const Experiment grid = declared(kBase + std::string(kStart));
  const Plan plan = make_plan(grid, Store::in_memory());
  // The control's 30, and what is left of them from each point on.
  CHECK(plan.steps_to_run == 30 + 25 + 20 + 15 + 10 + 5);
  CHECK(plan.steps_asked == 6 * 30);
}

TEST_CASE("what is measured at step 0 is measured once, for all that begin alike") {
  const Experiment grid = declared(kBase + std::string(kWindows) +
                                   "[[metrics]]\nkind = \"weight-norm\"\nevery = [0]\n");
  const Plan plan = make_plan(grid, Store::in_memory());
  std::multiset<std::size_t> told;
  for (const Stage& stage : plan.stages) {
    const bool first = !stage.needs.empty() && stage.needs.front().step == 0;
    CHECK((first || stage.beginners.empty()));
    if (!first) continue;
    told.insert(stage.trials.begin(), stage.trials.end());
    told.insert(stage.beginners.begin(), stage.beginners.end());
  }
  CHECK(told.size() == grid.trials());
  for (std::size_t number = 0; number < grid.trials(); ++number) CHECK(told.count(number) == 1);
}

TEST_CASE("controls are done first, and a path is followed to its end") {
  const Experiment grid = declared(kBase + std::string(kStart));
  const Plan plan = make_plan(grid, Store::in_memory());
  Step reached = 0;
  for (std::size_t number = 0; reached < 30; ++number) {
    REQUIRE(plan.stages[number].trial == 0);
    CHECK(plan.stages[number].begin == reached);
    reached = plan.stages[number].end;
  }
}

TEST_CASE("more epochs go on from where the run ended") {
  const Experiment three = declared(kBase);
  const Experiment ten = declared(kBase, {"train.epochs=10"});
  World world;
  world.carry_out(three, make_plan(three, world.store));
  const Plan plan = make_plan(ten, world.store);
  CHECK(plan.trials[0].reason == Reason::Longer);
  CHECK(plan.trials[0].from == 30);
  CHECK(plan.steps_to_run == 70);
  CHECK(world.carry_out(ten, plan) == 70);

  World fresh;
  fresh.carry_out(ten, make_plan(ten, fresh.store));
  CHECK(fresh.results() == world.results());
  // Only the newest checkpoint is kept.
  CHECK(world.saved().size() == 1);
}

TEST_CASE("a schedule that ends with the run shares nothing with a longer one") {
  const std::string cosine = "[schedule]\nkind = \"cosine\"\n";
  const Experiment three = declared(kBase + cosine);
  const Experiment ten = declared(kBase + cosine, {"train.epochs=10"});
  World world;
  world.carry_out(three, make_plan(three, world.store));
  CHECK(make_plan(ten, world.store).steps_to_run == 100);
  // With the horizon written down it is the same schedule.
  const Experiment said = declared(kBase + cosine, {"schedule.horizon=30", "train.epochs=10"});
  CHECK(make_plan(said, world.store).steps_to_run == 70);
}

TEST_CASE("a metric added later replays only what no checkpoint covers") {
  const std::string every_step = "[[metrics]]\nkind = \"weight-norm\"\nevery = [0, 10, 13, 20]\n";
  for (const auto& [keep, steps] : std::map<std::string, std::int64_t>{{"last", 20}, {"all", 3}}) {
    CAPTURE(keep);
    const std::string policy = "[checkpoints]\nkeep = \"" + keep + "\"\n";
    const Experiment before = declared(kBase + policy);
    const Experiment after = declared(kBase + policy + every_step);
    World world;
    world.carry_out(before, make_plan(before, world.store));
    const Plan plan = make_plan(after, world.store);
    CHECK(plan.trials[0].reason == Reason::Unmeasured);
    CHECK(plan.steps_to_run == steps);
    CHECK(plan.steps_to_run == fewest_steps(after, world));
    world.carry_out(after, plan);
    CHECK(make_plan(after, world.store).stages.empty());
  }
}

TEST_CASE("another experiment pays only for what it does not share") {
  const Experiment first = declared("name = \"first\"\n" + kBase);
  const Experiment second = declared("name = \"second\"\n" + kBase + kStart);
  World world;
  world.carry_out(first, make_plan(first, world.store));
  const Plan plan = make_plan(second, world.store);
  CHECK(plan.cached == 1);
  CHECK(plan.steps_to_run == fewest_steps(second, world));
  world.carry_out(second, plan);

  World fresh;
  fresh.carry_out(second, make_plan(second, fresh.store));
  const auto of_second = [](const World& one) {
    return one.store.query("select * from results where experiment = 'second'").rows;
  };
  CHECK(of_second(world) == of_second(fresh));
}

TEST_CASE("a trial all of whose states others went through is answered without a step") {
  const auto windows = [](const std::string& name, const std::string& when) {
    return declared("name = \"" + name + "\"\n" + kBase +
                        "[[interventions]]\nset.optimizer.lr = 0.3\nwhen = " + when + "\n",
                    {name == "short" ? "train.epochs=2" : "train.epochs=3"});
  };
  const Experiment two = windows("long", "[[5, 10], [25, 30]]");
  const Experiment one = windows("short", "[5, 10]");
  World world;
  world.carry_out(two, make_plan(two, world.store));
  const Plan plan = make_plan(one, world.store);
  CHECK(plan.trials[0].reason == Reason::Cached);
  CHECK(plan.trials[1].reason == Reason::Cached);
  CHECK(plan.trials[1].trial != make_plan(two, world.store).trials[1].trial);
  CHECK(plan.stages.empty());
  world.carry_out(one, plan);

  World fresh;
  fresh.carry_out(one, make_plan(one, fresh.store));
  const auto of_short = [](const World& any) {
    return any.store
        .query(
            "select r.*, t.outcome from results as r join trials as t using "
            "(experiment, number) where experiment = 'short'")
        .rows;
  };
  CHECK(of_short(world) == of_short(fresh));
  CHECK(make_plan(one, world.store).adoptions.empty());
}

TEST_CASE("wherever a run is broken off, the next ones end it with the fewest steps") {
  const std::string policies[] = {"",
                                  "[checkpoints]\nevery = 4\n",
                                  "[checkpoints]\nkeep = \"all\"\n",
                                  "[checkpoints]\nevery = { log = 2 }\n",
                                  "[checkpoints]\nkeep = \"needed\"\n",
                                  "[checkpoints]\nevery = \"never\"\n"};
  for (const std::string& policy : policies) {
    for (const char* rest : {kWindows, kStart, kCompared, kCircle, kDrawn}) {
      const Experiment grid = declared(kBase + policy + rest);
      World whole;
      whole.carry_out(grid, make_plan(grid, whole.store));
      Random random(1, policy, std::string_view(rest).size());
      World broken;
      // What is never saved has to be done in one run.
      const std::uint32_t most = policy.find("never") == std::string::npos ? 4 : 40;
      for (int run = 0; run < 300; ++run) {
        Plan plan = make_plan(grid, broken.store);
        CAPTURE(policy);
        CAPTURE(run);
        CHECK(plan.steps_to_run == fewest_steps(grid, broken));
        if (plan.stages.empty()) break;
        if (run % 2 == 1) shuffle(plan, static_cast<std::uint64_t>(run));
        broken.carry_out(grid, plan, 1 + random.bits() % most);
      }
      CHECK(make_plan(grid, broken.store).stages.empty());
      CHECK(broken.results() == whole.results());
    }
  }
}

TEST_CASE("the policy says when states are saved") {
  const auto saves = [](const std::string& policy) {
    const Experiment one = declared(kBase + policy);
    std::vector<Step> steps;
    const Assignment work = assignment(one, make_plan(one, Store::in_memory()), 0);
    for (const Save& save : work.saves) {
      steps.push_back(save.step);
      CHECK(save.epoch == static_cast<double>(save.step) / 10);
      CHECK(save.state == work.trial.state(save.step));
    }
    return steps;
  };
  using Steps = std::vector<Step>;
  CHECK(saves("") == Steps{10, 20, 30});
  CHECK(saves("[checkpoints]\nevery = 7\n") == Steps{7, 14, 21, 28, 30});
  CHECK(saves("[checkpoints]\nevery = { epochs = 2 }\n") == Steps{20, 30});
  CHECK(saves("[checkpoints]\nevery = { log = 3 }\n") == Steps{1, 3, 9, 27, 30});
  CHECK(saves("[checkpoints]\nevery = [0, 4, 99]\n") == Steps{4, 30});
  CHECK(saves("[checkpoints]\nevery = \"end\"\n") == Steps{30});
  CHECK(saves("[checkpoints]\nevery = \"never\"\n").empty());
}

TEST_CASE("a plan of stages in another order has the same stages") {
  const Experiment grid = declared(kBase + std::string(kWindows));
  const Plan plan = make_plan(grid, Store::in_memory());
  Plan other = plan;
  shuffle(other, 7);
  REQUIRE(other.stages.size() == plan.stages.size());
  std::multiset<std::pair<std::size_t, Step>> before;
  std::multiset<std::pair<std::size_t, Step>> after;
  bool moved = false;
  for (std::size_t number = 0; number < plan.stages.size(); ++number) {
    before.insert({plan.stages[number].trial, plan.stages[number].begin});
    const Stage& stage = other.stages[number];
    after.insert({stage.trial, stage.begin});
    moved = moved || stage.trial != plan.stages[number].trial;
    if (stage.parent == kNone) continue;
    CHECK(stage.parent < number);
    CHECK(other.stages[stage.parent].end == stage.begin);
  }
  CHECK(before == after);
  CHECK(moved);
}

TEST_CASE("a control is gone through again for states that a new comparison asks for") {
  const Experiment plain = declared(kBase + std::string(kStart));
  const Experiment compared = declared(kBase + std::string(kStart) +
                                       "[[metrics]]\nkind = \"distance\"\nto = \"control\"\n");
  World world;
  world.carry_out(plain, make_plan(plain, world.store));
  const Plan plan = make_plan(compared, world.store);
  CHECK(plan.trials[0].reason == Reason::Unmeasured);
  CHECK(plan.steps_to_run == fewest_steps(compared, world));
  world.carry_out(compared, plan);
  // Another intervention: of the control nothing is missing but states to compare with.
  const Experiment more = declared(
      kBase + std::string(kStart) + "[[interventions]]\nset.optimizer.lr = 0.7\nwhen = [22, 23]\n" +
      "[[metrics]]\nkind = \"distance\"\nto = \"control\"\nevery = 23\n");
  const Plan later = make_plan(more, world.store);
  CHECK(later.trials[0].reason == Reason::Unmeasured);
  world.carry_out(more, later);
  const Experiment most =
      declared(kBase + std::string(kStart) +
               "[[interventions]]\nset.optimizer.lr = [0.7, 0.8]\nwhen = [21, 22]\n" +
               "[[metrics]]\nkind = \"distance\"\nto = \"control\"\nevery = 23\n");
  CHECK(make_plan(most, world.store).trials[0].reason == Reason::Compared);
  CHECK(make_plan(most, world.store).trials[1].reason == Reason::Cached);
  CHECK(make_plan(compared, world.store).stages.empty());
  // The newest alone stay: those that were needed are gone again.
  CHECK(world.saved().size() == compared.trials() + 1);
}

TEST_CASE("the two of a pair that are each other's control are compared in the end") {
  const Experiment circle = declared(kBase + std::string(kCircle));
  const Plan plan = make_plan(circle, Store::in_memory());
  CHECK(std::any_of(plan.stages.begin(), plan.stages.end(),
                    [](const Stage& stage) { return stage.begin > 0 && stage.steps() == 0; }));
  World world;
  world.carry_out(circle, plan);
  const auto rows =
      world.store.query("select count(*) from contrasts where metric = 'distance.control'").rows;
  // 4 trials, of which 2 stand for controls: 7, 14, 21, 28 and 30.
  CHECK(std::get<std::int64_t>(rows[0][0]) == 4 * 5);
}

TEST_CASE("nothing waits for a control that diverged before") {
  const Experiment compared = declared(kBase + std::string(kStart) +
                                       "[[metrics]]\nkind = \"distance\"\nto = \"control\"\n");
  World world;
  declare(world.store, compared, make_plan(compared, world.store));
  Record diverged;
  diverged.trial = compared.trial(0).id;
  diverged.outcome = Outcome::Diverged;
  diverged.step = 2;
  world.store.keep(world.run, diverged);
  world.store.flush();
  const Plan plan = make_plan(compared, world.store);
  CHECK(plan.references.empty());
  for (const Stage& stage : plan.stages) CHECK(stage.saves.empty());
}
