#include "execute/slurm_layout.h"

#include <algorithm>
#include <set>
#include <utility>

namespace perturb {
namespace {

struct Path {
  std::vector<std::size_t> stages;  // in order; none: it became part of another
  std::size_t level = 0;
  bool alone = false;
};

class Layout {
 public:
  Layout(const std::vector<Unsubmitted>& stages, const LayoutLimits& limits)
      : stages_(stages), limits_(limits), path_of_(stages.size()) {}

  std::vector<ArrayLayout> run() {
    for (std::size_t stage = 0; stage < stages_.size(); ++stage) place(stage);
    for (std::size_t level = 0; level < kMostLevels; ++level) add_arrays(bundled(level));
    return std::move(arrays_);
  }

 private:
  void place(std::size_t number) {
    const Unsubmitted& stage = stages_[number];
    std::vector<std::size_t> before = stage.after;
    if (stage.parent) before.push_back(*stage.parent);
    std::size_t level = 0;
    for (const std::size_t other : before)
      level = std::max(level, paths_[path_of_[other]].level + 1);
    if (stage.parent && continues(number, before)) return append(path_of_[*stage.parent], number);
    if (level < kMostLevels) {
      paths_.push_back({{}, level, stage.alone});
      return append(paths_.size() - 1, number);
    }
    // Too deep: all that it waits for on the deepest level becomes one path, which goes on with it.
    std::optional<std::size_t> deepest;
    for (const std::size_t other : before) {
      const std::size_t path = path_of_[other];
      if (paths_[path].level + 1 < kMostLevels || path == deepest) continue;
      if (deepest) join(*deepest, path);
      if (!deepest) deepest = path;
    }
    append(*deepest, number);
  }

  /// Whether the stage goes on from the end of its parent's path, and waits for nothing that is not
  /// over before that path begins.
  bool continues(std::size_t number, const std::vector<std::size_t>& before) const {
    const std::size_t parent = *stages_[number].parent;
    const std::size_t own = path_of_[parent];
    if (stages_[number].alone || paths_[own].alone || paths_[own].stages.back() != parent)
      return false;
    return std::all_of(before.begin(), before.end(), [&](std::size_t other) {
      const std::size_t path = path_of_[other];
      return path == own || paths_[path].level < paths_[own].level;
    });
  }

  void append(std::size_t path, std::size_t stage) {
    paths_[path].stages.push_back(stage);
    path_of_[stage] = path;
  }

  void join(std::size_t into, std::size_t from) {
    for (const std::size_t stage : paths_[from].stages) path_of_[stage] = into;
    auto& all = paths_[into].stages;
    const auto middle = static_cast<std::ptrdiff_t>(all.size());
    all.insert(all.end(), paths_[from].stages.begin(), paths_[from].stages.end());
    std::inplace_merge(all.begin(), all.begin() + middle, all.end());
    paths_[from].stages.clear();
  }

  /// The tasks of a level.
  std::vector<std::vector<std::size_t>> bundled(std::size_t level) const {
    const std::size_t most = std::max<std::size_t>(
        1, std::min(limits_.tasks, std::max<std::size_t>(1, limits_.array) * kMostArrays));
    const std::size_t paths = static_cast<std::size_t>(std::count_if(
        paths_.begin(), paths_.end(), [](const Path& path) { return !path.stages.empty(); }));
    const std::size_t at_least = std::max(limits_.bundle, (paths + most - 1) / most);
    std::vector<std::vector<std::size_t>> tasks;
    std::optional<std::size_t> open;  // the task that takes more paths
    std::size_t together = 0;         // paths in it
    Step steps = 0;
    for (const Path& path : paths_) {
      if (path.level != level || path.stages.empty()) continue;
      if (path.alone) {
        tasks.push_back(path.stages);
        continue;
      }
      if (!open) {
        open = tasks.size();
        together = 0;
        steps = 0;
        tasks.emplace_back();
      }
      auto& task = tasks[*open];
      task.insert(task.end(), path.stages.begin(), path.stages.end());
      for (const std::size_t stage : path.stages) steps += stages_[stage].steps;
      if (++together >= at_least && steps >= limits_.bundle_steps) open.reset();
    }
    return tasks;
  }

  void add_arrays(const std::vector<std::vector<std::size_t>>& tasks) {
    const std::size_t size = std::max<std::size_t>(1, limits_.array);
    const std::size_t first = arrays_.size();
    for (std::size_t begin = 0; begin < tasks.size(); begin += size) {
      const auto end = std::min(begin + size, tasks.size());
      ArrayLayout array;
      std::set<std::size_t> after;
      std::set<std::string> jobs;
      for (std::size_t task = begin; task < end; ++task) {
        array.tasks.push_back(tasks[task]);
        for (const std::size_t stage : tasks[task]) add_waits(stage, first, after, jobs);
      }
      array.after.assign(after.begin(), after.end());
      array.jobs.assign(jobs.begin(), jobs.end());
      arrays_.push_back(std::move(array));
    }
    // Only now: stages of one level do not wait for each other across arrays.
    for (std::size_t array = first; array < arrays_.size(); ++array) {
      for (const auto& task : arrays_[array].tasks) {
        for (const std::size_t stage : task) array_of_[stage] = array;
      }
    }
  }

  void add_waits(std::size_t number, std::size_t first, std::set<std::size_t>& after,
                 std::set<std::string>& jobs) {
    const Unsubmitted& stage = stages_[number];
    array_of_.resize(stages_.size(), kNowhere);
    const auto wait_for = [&](std::size_t other) {
      if (array_of_[other] < first) after.insert(array_of_[other]);
    };
    if (stage.parent) wait_for(*stage.parent);
    for (const std::size_t other : stage.after) wait_for(other);
    jobs.insert(stage.jobs.begin(), stage.jobs.end());
  }

  static constexpr std::size_t kNowhere = static_cast<std::size_t>(-1);

  const std::vector<Unsubmitted>& stages_;
  const LayoutLimits& limits_;
  std::vector<Path> paths_;
  std::vector<std::size_t> path_of_;   // by stage
  std::vector<std::size_t> array_of_;  // by stage
  std::vector<ArrayLayout> arrays_;
};

}  // namespace

std::vector<ArrayLayout> lay_out(const std::vector<Unsubmitted>& stages,
                                 const LayoutLimits& limits) {
  return Layout(stages, limits).run();
}

}  // namespace perturb
