#include "plan/stages.h"

#include <algorithm>
#include <cassert>
#include <cstdlib>
#include <map>
#include <optional>
#include <set>
#include <unordered_map>

#include "perturb/experiment/calendar.h"

namespace perturb {

namespace {

constexpr std::uint32_t kSave = UINT32_MAX;  // a wish: that there is a checkpoint

/// What is wanted of a state and not there yet.
struct Missing {
  std::uint32_t wish = 0;
  std::size_t reference = kNone;
};

/// A state on a segment's way that somebody asks about, or that there is a checkpoint of.
struct Point {
  Step step = 0;
  Digest state;
  bool known = false;                // it was reached
  bool wanted_end = false;           // a trial ends here
  std::optional<Digest> checkpoint;  // blob
  std::vector<Missing> missing;

  bool needed() const { return !missing.empty() || (wanted_end && !known); }
};

/// What passes through one segment of the tree.
struct Passage {
  std::vector<std::size_t> trials;  // places in Staging::trials
  std::size_t agenda = kNone;       // the last one whose wishes were added
  std::vector<Wanted> wanted;
  bool ends = false;  // some trial ends at the segment's end
  std::vector<Point> points;
  bool from_parent = false;          // a stage begins where the segment does
  std::size_t stage_to_end = kNone;  // the stage whose end is the segment's
};

class Stager {
 public:
  explicit Stager(const Staging& staging)
      : in_(staging), passages_(staging.tree.size()), involved_(staging.trials.size(), true) {}

  Staged run() {
    pass();
    if (in_.store.has_states() || in_.wishes.any_compares() || in_.draws) {
      find_points();
      save_references();
      build_needed();
      // What stages draw toward is known once there are stages; controls draw toward nothing.
      if (in_.draws && save_drawn()) build_needed();
      for (std::size_t place = 0; place < in_.trials.size(); ++place) adopt(place);
    } else {
      // Nothing is known, so every segment is a stage: 100,000 new trials are planned at once.
      for (const std::size_t segment : order_) build_all(segment);
    }
    wait_for_references();
    finish();
    return std::move(out_);
  }

 private:
  const Segment& segment(std::size_t number) const { return in_.tree[number]; }
  Trial trial(std::size_t place) const { return in_.experiment.trial(in_.trials[place].number); }

  /// Sends every trial along its path.
  void pass() {
    std::vector<std::size_t> roots;
    for (std::size_t place = 0; place < in_.trials.size(); ++place) {
      const Wanting& wanting = in_.trials[place];
      const auto path = in_.tree.path_to(wanting.segment);
      for (const std::size_t at : path) {
        Passage& passage = passages_[at];
        if (passage.trials.empty() && segment(at).parent == kNone) roots.push_back(at);
        passage.trials.push_back(place);
        if (passage.agenda == wanting.agenda) continue;
        if (!wanting.until) passage.agenda = wanting.agenda;
        add_wanted(passage, segment(at), wanting);
      }
      if (!wanting.until) passages_[wanting.segment].ends = true;
    }
    for (Passage& passage : passages_) {
      std::sort(passage.wanted.begin(), passage.wanted.end());
      passage.wanted.erase(std::unique(passage.wanted.begin(), passage.wanted.end()),
                           passage.wanted.end());
    }
    walk(roots);
  }

  static void add_wanted(Passage& passage, const Segment& segment, const Wanting& wanting) {
    const std::vector<Wanted>& wanted = *wanting.wanted;
    // A state between two segments belongs to the earlier one; the one at step 0 to the root.
    const Step after = segment.parent == kNone ? -1 : segment.begin;
    const auto first = std::lower_bound(wanted.begin(), wanted.end(), Wanted{after + 1, 0});
    const Step end = std::min(segment.end + 1, wanting.until.value_or(segment.end + 1));
    const auto last = std::lower_bound(first, wanted.end(), Wanted{end, 0});
    passage.wanted.insert(passage.wanted.end(), first, last);
  }

  /// Parents before children, one path to its end before the next; of several ways the one first
  /// that the first trial takes. So a control, which comes first, is done first.
  void walk(const std::vector<std::size_t>& roots) {
    std::vector<std::size_t> stack(roots.rbegin(), roots.rend());
    while (!stack.empty()) {
      const std::size_t at = stack.back();
      stack.pop_back();
      order_.push_back(at);
      std::vector<std::size_t> ways;
      for (const std::size_t child : segment(at).children) {
        if (!passages_[child].trials.empty()) ways.push_back(child);
      }
      std::sort(ways.begin(), ways.end(), [&](std::size_t a, std::size_t b) {
        return passages_[a].trials.front() > passages_[b].trials.front();
      });
      stack.insert(stack.end(), ways.begin(), ways.end());
    }
  }

  void find_points() {
    const auto saved_at = in_.store.checkpoint_steps();
    std::vector<Digest> states;
    for (const std::size_t at : order_) {
      Passage& passage = passages_[at];
      const Segment& way = segment(at);
      std::set<Step> steps;
      for (const Wanted& wanted : passage.wanted) steps.insert(wanted.first);
      if (passage.ends) steps.insert(way.end);
      const auto first = std::upper_bound(saved_at.begin(), saved_at.end(), way.begin);
      steps.insert(first, std::upper_bound(first, saved_at.end(), way.end));
      if (steps.empty()) continue;
      const Trial one = trial(passage.trials.front());
      const Calendar calendar(one.timeline, in_.experiment.data(one).train);
      auto wanted = passage.wanted.begin();
      for (const Step step : steps) {
        Point point;
        point.step = step;
        point.wanted_end = passage.ends && step == way.end;
        for (; wanted != passage.wanted.end() && wanted->first == step; ++wanted)
          want(point, wanted->second, calendar);
        point.state = one.state(step);
        states.push_back(point.state);
        passage.points.push_back(std::move(point));
      }
    }
    look_up(states);
  }

  void want(Point& point, std::uint32_t wish, const Calendar& calendar) {
    if (!in_.wishes.compares(wish)) return point.missing.push_back({wish});
    if (const auto reference =
            this->reference(in_.wishes.variation(wish), calendar.batch(point.step)))
      point.missing.push_back({wish, *reference});
  }

  /// The control's state when it stands there, as a number; nothing if it never does.
  std::optional<std::size_t> reference(std::size_t variation, const Batch& place) {
    auto found = controls_.find(variation);
    if (found == controls_.end()) {
      Trial control = in_.experiment.trial(variation, 0);
      const Calendar calendar(control.timeline, in_.experiment.data(control).train);
      const Step end = in_.experiment.end(control);
      found = controls_.emplace(variation, Control{std::move(control), calendar, end}).first;
    }
    const Control& control = found->second;
    const auto step = control.calendar.matching(place);
    if (!step || *step > control.end || !in_.reaches(variation, *step)) return std::nullopt;
    const auto [entry, is_new] =
        reference_at_.try_emplace({variation, *step}, out_.references.size());
    if (is_new)
      out_.references.push_back({in_.trials[in_.control(variation)].number, *step,
                                 control.trial.state(*step), std::nullopt});
    return entry->second;
  }

  void look_up(const std::vector<Digest>& states) {
    const auto known = in_.store.states(states, in_.wishes.definitions());
    for (const std::size_t at : order_) {
      for (Point& point : passages_[at].points) {
        const auto found = known.find(point.state);
        if (found == known.end()) continue;
        point.known = true;
        if (found->second.checkpoint) point.checkpoint = found->second.checkpoint->blob;
        std::erase_if(point.missing,
                      [&](const Missing& one) { return is_known(one, found->second); });
      }
    }
  }

  bool is_known(const Missing& one, const KnownState& known) const {
    const std::uint32_t metric = in_.wishes.definition(one.wish);
    if (one.reference == kNone)
      return std::find(known.metrics.begin(), known.metrics.end(), metric) != known.metrics.end();
    const std::pair compared(metric, out_.references[one.reference].state);
    return std::find(known.compared.begin(), known.compared.end(), compared) !=
           known.compared.end();
  }

  /// A state that something is compared with has to be there as a checkpoint.
  void save_references() {
    std::set<std::size_t> wanted;
    for (const std::size_t at : order_) {
      for (const Point& point : passages_[at].points) {
        for (const Missing& one : point.missing) {
          if (one.reference != kNone && out_.references[one.reference].state != point.state)
            wanted.insert(one.reference);
        }
      }
    }
    for (const std::size_t number : wanted) {
      PlannedReference& reference = out_.references[number];
      Point& point = point_of(reference);
      if (point.checkpoint) {
        reference.blob = point.checkpoint;
      } else {
        point.missing.push_back({kSave});
      }
    }
  }

  /// The point on the control's way, made if there is none. Where there is a checkpoint, there is.
  Point& point_of(const PlannedReference& reference) {
    const std::size_t place = in_.control(in_.experiment.variation_of(reference.trial));
    for (const std::size_t at : in_.tree.path_to(in_.trials[place].segment)) {
      if (segment(at).end < reference.step) continue;
      auto& points = passages_[at].points;
      const auto after = std::lower_bound(points.begin(), points.end(), reference.step,
                                          [](const Point& p, Step step) { return p.step < step; });
      if (after != points.end() && after->step == reference.step) return *after;
      Point point;
      point.step = reference.step;
      point.state = reference.state;
      return *points.insert(after, std::move(point));
    }
    assert(false && "a control reaches what others are compared with");
    std::abort();
  }

  /// Whether each segment has to be gone through from its very beginning. From the leaves down:
  /// a stage goes back from what is needed to the nearest checkpoint before it.
  void decide() {
    for (auto at = order_.rbegin(); at != order_.rend(); ++at) {
      Passage& passage = passages_[*at];
      bool open = end_needed(*at);
      for (auto point = passage.points.rbegin(); point != passage.points.rend(); ++point) {
        open = (open || point->needed()) && !point->checkpoint;
      }
      passage.from_parent = open;
    }
  }

  /// Trials that are known and neither compared nor compared with are none of the stages' business,
  /// though they may pass through the same states.
  void find_involved() {
    for (std::size_t place = 0; place < in_.trials.size(); ++place) {
      const Wanting& wanting = in_.trials[place];
      if (wanting.runs) continue;
      const auto path = in_.tree.path_to(wanting.segment);
      involved_[place] = std::any_of(path.begin(), path.end(), [&](std::size_t at) {
        const auto& points = passages_[at].points;
        return std::any_of(points.begin(), points.end(),
                           [&](const Point& point) { return concerns(place, point); });
      });
    }
  }

  bool concerns(std::size_t place, const Point& point) const {
    const Wanting& wanting = in_.trials[place];
    return std::any_of(point.missing.begin(), point.missing.end(), [&](const Missing& one) {
      if (one.wish == kSave)
        return in_.control(in_.experiment.variation_of(wanting.number)) == place;
      return std::binary_search(wanting.wanted->begin(), wanting.wanted->end(),
                                Wanted{point.step, one.wish});
    });
  }

  void build_needed() {
    if (in_.wishes.any_compares() || in_.draws) find_involved();
    out_.stages.clear();
    initial_.clear();
    for (Passage& passage : passages_) passage.stage_to_end = kNone;
    decide();
    for (const std::size_t segment : order_) build(segment);
  }

  /// Whether a control has to be gone through for states that stages draw toward.
  bool save_drawn() {
    bool any = false;
    for (const Stage& stage : out_.stages) {
      for (const std::size_t number : drawn(stage)) {
        PlannedReference& reference = out_.references[number];
        Point& point = point_of(reference);
        if (point.checkpoint) {
          reference.blob = point.checkpoint;
          continue;
        }
        const bool there = std::any_of(point.missing.begin(), point.missing.end(),
                                       [](const Missing& one) { return one.wish == kSave; });
        if (there) continue;
        point.missing.push_back({kSave});
        any = true;
      }
    }
    return any;
  }

  /// The references, by number, that the stage draws toward.
  std::set<std::size_t> drawn(const Stage& stage) {
    const Trial one = in_.experiment.trial(stage.trial);
    std::set<std::size_t> all;
    if (!one.toward) return all;
    const Calendar calendar(one.timeline, in_.experiment.data(one).train);
    for (const Step step : one.drawn(stage.begin, stage.end)) {
      if (const auto found = reference(*one.toward, calendar.batch(step))) all.insert(*found);
    }
    return all;
  }

  bool end_needed(std::size_t at) const {
    // Initialisation is done anew for every stage that begins with it.
    if (segment(at).parent == kNone) return false;
    const auto& children = segment(at).children;
    return std::any_of(children.begin(), children.end(),
                       [&](std::size_t child) { return passages_[child].from_parent; });
  }

  void build_all(std::size_t at) {
    const Segment& way = segment(at);
    Passage& passage = passages_[at];
    Stage stage{.begin = way.begin, .end = way.end};
    if (way.parent == kNone) {
      if (passage.wanted.empty() && !passage.ends) return;
      // As in hand_down.
      const auto child = std::find_if(way.children.begin(), way.children.end(), [&](auto number) {
        return !passages_[number].trials.empty();
      });
      if (child != way.children.end() && !passage.ends) {
        auto& theirs = passages_[*child].wanted;
        theirs.insert(theirs.begin(), passage.wanted.begin(), passage.wanted.end());
        return;
      }
    } else if (way.begin > 0) {
      stage.parent = passages_[way.parent].stage_to_end;
    }
    for (const auto& [step, wish] : passage.wanted)
      stage.needs.push_back({step, in_.wishes.definition(wish)});
    push(std::move(stage), at);
  }

  bool checkpoint_at_end(std::size_t at) const {
    const auto& points = passages_[at].points;
    return !points.empty() && points.back().step == segment(at).end &&
           points.back().checkpoint.has_value();
  }

  /// Cuts what has to be gone through of a segment into stages, from its end to its beginning.
  void build(std::size_t at) {
    const Segment& way = segment(at);
    const Passage& passage = passages_[at];
    std::vector<Stage> stages;
    std::optional<Stage> open;
    if (end_needed(at) && !checkpoint_at_end(at)) open = Stage{.end = way.end};
    for (auto point = passage.points.rbegin(); point != passage.points.rend(); ++point) {
      if (point->needed()) {
        if (!open) open = Stage{.end = point->step};
        for (const Missing& one : point->missing) {
          const bool save = one.wish == kSave;
          open->needs.push_back(
              {point->step, save ? kSave : in_.wishes.definition(one.wish), one.reference});
        }
      }
      if (open && point->checkpoint) {
        open->begin = point->step;
        open->checkpoint = point->checkpoint;
        stages.push_back(*std::exchange(open, std::nullopt));
      }
    }
    if (way.parent == kNone) {
      if (open && !hand_down(at, open->needs)) stages.push_back(std::move(*open));
    } else if (open) {
      open->begin = way.begin;
      begin_at_parent(way, *open);
      stages.push_back(std::move(*open));
    }
    for (auto stage = stages.rbegin(); stage != stages.rend(); ++stage) push(std::move(*stage), at);
  }

  /// What is measured on the initial state is left to the first stage that has it anyway. False
  /// when there is none.
  bool hand_down(std::size_t root, std::vector<Need>& needs) {
    if (passages_[root].ends) return false;
    for (const std::size_t child : segment(root).children) {
      if (!passages_[child].from_parent) continue;
      initial_.emplace(child, std::move(needs));
      return true;
    }
    return false;
  }

  void begin_at_parent(const Segment& way, Stage& stage) {
    if (way.begin == 0) {
      const auto at = static_cast<std::size_t>(&way - &in_.tree[0]);
      if (const auto found = initial_.find(at); found != initial_.end())
        stage.needs.insert(stage.needs.end(), found->second.begin(), found->second.end());
    } else if (checkpoint_at_end(way.parent)) {
      stage.checkpoint = passages_[way.parent].points.back().checkpoint;
    } else {
      stage.parent = passages_[way.parent].stage_to_end;
    }
  }

  void push(Stage stage, std::size_t at) {
    Passage& passage = passages_[at];
    const std::size_t number = out_.stages.size();
    std::sort(stage.needs.begin(), stage.needs.end());
    for (const Need& need : stage.needs) {
      if (need.metric == kSave) stage.saves.push_back(need.step);
    }
    std::erase_if(stage.needs, [](const Need& need) { return need.metric == kSave; });
    stage.trials.reserve(passage.trials.size());
    for (const std::size_t place : passage.trials) {
      if (involved_[place]) stage.trials.push_back(in_.trials[place].number);
    }
    stage.trial = stage.trials.front();
    add_beginners(stage, at);
    stage.is_an_end = passage.ends && stage.end == segment(at).end;
    if (stage.parent != kNone) ++out_.stages[stage.parent].heirs;
    if (stage.end == segment(at).end) passage.stage_to_end = number;
    out_.stages.push_back(std::move(stage));
  }

  void add_beginners(Stage& stage, std::size_t at) {
    const std::size_t root = segment(at).parent;
    if (root == kNone || stage.needs.empty() || stage.needs.front().step > 0) return;
    const auto& own = passages_[at].trials;
    for (const std::size_t place : passages_[root].trials) {
      if (involved_[place] && !std::binary_search(own.begin(), own.end(), place))
        stage.beginners.push_back(in_.trials[place].number);
    }
  }

  /// Stages wait for those that save what they compare with.
  void wait_for_references() {
    if (!in_.wishes.any_compares() && !in_.draws) return;
    std::unordered_map<Digest, std::size_t> saved_by;
    for (std::size_t number = 0; number < out_.stages.size(); ++number) {
      const Stage& stage = out_.stages[number];
      if (stage.saves.empty()) continue;
      const Trial one = in_.experiment.trial(stage.trial);
      for (const Step step : stage.saves) saved_by.emplace(one.state(step), number);
    }
    for (std::size_t number = 0; number < out_.stages.size(); ++number) {
      std::set<std::size_t> after;
      for (const Need& need : out_.stages[number].needs) {
        if (need.reference == kNone) continue;
        const auto found = saved_by.find(out_.references[need.reference].state);
        if (found != saved_by.end() && found->second != number) after.insert(found->second);
      }
      if (in_.draws) {
        for (const std::size_t reference : drawn(out_.stages[number])) {
          out_.stages[number].draws = true;
          const auto found = saved_by.find(out_.references[reference].state);
          if (found != saved_by.end()) after.insert(found->second);
        }
      }
      out_.stages[number].after.assign(after.begin(), after.end());
    }
    break_circles();
  }

  /// Two trials may be compared with each other's states, each being the control's of the other.
  /// Then what one of them compares is left to a stage that takes no step, when both are over.
  void break_circles() {
    std::vector<bool> over(out_.stages.size());
    const auto ready = [&](std::size_t number) {
      const Stage& stage = out_.stages[number];
      return (stage.parent == kNone || over[stage.parent]) &&
             std::all_of(stage.after.begin(), stage.after.end(),
                         [&](std::size_t other) { return over[other]; });
    };
    for (std::size_t left = out_.stages.size(); left > 0;) {
      const std::size_t before = left;
      std::size_t stuck = kNone;
      for (std::size_t number = 0; number < over.size(); ++number) {
        if (over[number]) continue;
        const Stage& stage = out_.stages[number];
        if (ready(number)) {
          over[number] = true;
          --left;
        } else if (stuck == kNone && (stage.parent == kNone || over[stage.parent])) {
          stuck = number;
        }
      }
      if (left == before) compare_later(stuck);
    }
  }

  void compare_later(std::size_t number) {
    std::map<Step, std::vector<Need>> later;
    std::erase_if(out_.stages[number].needs, [&](const Need& need) {
      if (need.reference == kNone) return false;
      later[need.step].push_back(need);
      return true;
    });
    std::vector<std::size_t> after = std::exchange(out_.stages[number].after, {});
    after.push_back(number);
    for (auto& [step, needs] : later) {
      Stage stage{.trial = out_.stages[number].trial, .begin = step, .end = step};
      stage.needs = std::move(needs);
      stage.after = after;
      stage.trials = out_.stages[number].trials;
      auto& saves = out_.stages[number].saves;
      const auto place = std::lower_bound(saves.begin(), saves.end(), step);
      if (place == saves.end() || *place != step) saves.insert(place, step);
      out_.stages.push_back(std::move(stage));
    }
  }

  void finish() {
    out_.from.resize(in_.trials.size());
    std::unordered_map<std::size_t, std::size_t> place_of;
    for (std::size_t place = 0; place < in_.trials.size(); ++place)
      place_of.emplace(in_.trials[place].number, place);
    for (const Stage& stage : out_.stages) {
      for (const std::size_t number : stage.trials) {
        std::optional<Step>& from = out_.from[place_of.at(number)];
        from = std::min(from.value_or(stage.begin), stage.begin);
      }
    }
  }

  /// What the store knows of the states that the trial goes through, from whomever.
  void adopt(std::size_t place) {
    Adoption adoption{.trial = in_.trials[place].number, .states = {}, .done = false};
    std::vector<const Point*> known;
    const auto path = in_.tree.path_to(in_.trials[place].segment);
    for (const std::size_t at : path) {
      for (const Point& point : passages_[at].points) {
        if (point.known) known.push_back(&point);
      }
    }
    if (known.empty()) return;
    const Trial one = trial(place);
    const Calendar calendar(one.timeline, in_.experiment.data(one).train);
    for (const Point* point : known)
      adoption.states.push_back({point->step, calendar.epochs_before(point->step), point->state});
    adoption.done = known.back()->step == segment(path.back()).end;
    out_.adoptions.push_back(std::move(adoption));
  }

  const Staging& in_;
  std::vector<Passage> passages_;   // by segment
  std::vector<std::size_t> order_;  // segments that trials pass through
  std::vector<bool> involved_;      // by place
  std::unordered_map<std::size_t, std::vector<Need>> initial_;
  struct Control {
    Trial trial;
    Calendar calendar;
    Step end;
  };
  std::unordered_map<std::size_t, Control> controls_;  // by variation
  std::map<std::pair<std::size_t, Step>, std::size_t> reference_at_;
  Staged out_;
};

}  // namespace

Staged make_stages(const Staging& staging) { return Stager(staging).run(); }

}  // namespace perturb
