#include "plan/stages.h"

#include <algorithm>
#include <optional>
#include <set>
#include <unordered_map>

#include "perturb/experiment/calendar.h"

namespace perturb {

namespace {

/// A state on a segment's way that somebody asks about, or that there is a checkpoint of.
struct Point {
  Step step = 0;
  Digest state;
  bool known = false;                  // it was reached
  bool wanted_end = false;             // a trial ends here
  std::optional<Digest> checkpoint;    // blob
  std::vector<std::uint32_t> missing;  // metrics

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
  explicit Stager(const Staging& staging) : in_(staging), passages_(staging.tree.size()) {}

  Staged run() {
    pass();
    if (in_.store.has_states()) {
      find_points();
      decide();
      for (const std::size_t segment : order_) build(segment);
      for (std::size_t place = 0; place < in_.trials.size(); ++place) adopt(place);
    } else {
      // Nothing is known, so every segment is a stage: 100,000 new trials are planned at once.
      for (const std::size_t segment : order_) build_all(segment);
    }
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
        passage.agenda = wanting.agenda;
        add_wanted(passage, segment(at), *wanting.wanted);
      }
      passages_[wanting.segment].ends = true;
    }
    for (Passage& passage : passages_) {
      std::sort(passage.wanted.begin(), passage.wanted.end());
      passage.wanted.erase(std::unique(passage.wanted.begin(), passage.wanted.end()),
                           passage.wanted.end());
    }
    walk(roots);
  }

  static void add_wanted(Passage& passage, const Segment& segment,
                         const std::vector<Wanted>& wanted) {
    // A state between two segments belongs to the earlier one; the one at step 0 to the root.
    const Step after = segment.parent == kNone ? -1 : segment.begin;
    const auto first = std::lower_bound(wanted.begin(), wanted.end(), Wanted{after + 1, 0});
    const auto last = std::lower_bound(first, wanted.end(), Wanted{segment.end + 1, 0});
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
      auto wanted = passage.wanted.begin();
      for (const Step step : steps) {
        Point point;
        point.step = step;
        point.wanted_end = passage.ends && step == way.end;
        for (; wanted != passage.wanted.end() && wanted->first == step; ++wanted)
          point.missing.push_back(wanted->second);
        point.state = one.state(step);
        states.push_back(point.state);
        passage.points.push_back(std::move(point));
      }
    }
    look_up(states);
  }

  void look_up(const std::vector<Digest>& states) {
    const auto known = in_.store.states(states, in_.definitions);
    for (const std::size_t at : order_) {
      for (Point& point : passages_[at].points) {
        const auto found = known.find(point.state);
        if (found == known.end()) continue;
        point.known = true;
        if (found->second.checkpoint) point.checkpoint = found->second.checkpoint->blob;
        const auto& metrics = found->second.metrics;
        std::erase_if(point.missing, [&](std::uint32_t metric) {
          return std::find(metrics.begin(), metrics.end(), metric) != metrics.end();
        });
      }
    }
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
    stage.needs = std::move(passage.wanted);
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
        for (const std::uint32_t metric : point->missing)
          open->needs.emplace_back(point->step, metric);
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
  bool hand_down(std::size_t root, std::vector<std::pair<Step, std::uint32_t>>& needs) {
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
    stage.trials.reserve(passage.trials.size());
    for (const std::size_t place : passage.trials) stage.trials.push_back(in_.trials[place].number);
    stage.trial = stage.trials.front();
    stage.is_an_end = passage.ends && stage.end == segment(at).end;
    if (stage.parent != kNone) ++out_.stages[stage.parent].heirs;
    if (stage.end == segment(at).end) passage.stage_to_end = number;
    out_.stages.push_back(std::move(stage));
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
  std::unordered_map<std::size_t, std::vector<std::pair<Step, std::uint32_t>>> initial_;
  Staged out_;
};

}  // namespace

Staged make_stages(const Staging& staging) { return Stager(staging).run(); }

}  // namespace perturb
