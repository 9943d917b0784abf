#include "execute/slurm_former.h"

#include <algorithm>
#include <set>
#include <tuple>
#include <utility>

namespace perturb {
namespace {

using Wanted = std::tuple<Digest, Digest, Digest>;  // state, metric, reference

std::set<Wanted> measured(const Assignment& assignment) {
  std::set<Wanted> all;
  for (const Measurement& due : assignment.measurements) {
    const Digest reference = due.reference ? due.reference->state : Digest{};
    for (const std::size_t metric : due.metrics)
      all.emplace(due.state, assignment.metrics[metric].definition(), reference);
  }
  return all;
}

/// What others may have to find.
std::set<Digest> saved(const Assignment& assignment) {
  std::set<Digest> all;
  for (const Save& save : assignment.saves) {
    if (!save.spare) all.insert(save.state);
  }
  if (assignment.heirs > 0) all.insert(assignment.last);
  return all;
}

template <class Set>
bool has_all(const Set& all, const Set& some) {
  return std::includes(all.begin(), all.end(), some.begin(), some.end());
}

}  // namespace

bool covers(const Assignment& queued, const Assignment& wanted) {
  return queued.trial.id == wanted.trial.id && queued.last == wanted.last &&
         queued.end == wanted.end && queued.begin <= wanted.begin &&
         has_all(measured(queued), measured(wanted)) && has_all(saved(queued), saved(wanted));
}

void FormerStages::add(const BatchFolder& folder, std::size_t batch) {
  const auto facts = folder.facts();
  if (!facts || folder.cancelled()) return;
  // Of those whose end the store knows there is nothing more to come. Others that are over have
  // ended since it was asked.
  const Credits credits = folder.credits();
  std::set<std::size_t> over;
  for (const RecordName& name : folder.list()) {
    const auto credit = credits.find(credit_name(name));
    if (name.last && credit != credits.end() && credit->second.taken > name.n)
      over.insert(name.stage);
  }
  for (std::size_t task = 0; task < facts->tasks; ++task) {
    auto stages = folder.stages(task);
    if (!stages) continue;
    for (TaskStage& stage : *stages) {
      if (stage.number >= facts->stages || over.contains(stage.number)) continue;
      const Digest last = stage.assignment.last;
      stages_.emplace(last, Stage{{batch, task, stage.number}, std::move(stage.assignment)});
    }
  }
}

std::optional<Spot> FormerStages::take(const Assignment& wanted) {
  const auto [first, last] = stages_.equal_range(wanted.last);
  for (auto stage = first; stage != last; ++stage) {
    if (!covers(stage->second.assignment, wanted)) continue;
    const Spot spot = stage->second.spot;
    stages_.erase(stage);
    return spot;
  }
  return std::nullopt;
}

}  // namespace perturb
