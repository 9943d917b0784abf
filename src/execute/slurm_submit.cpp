#include "execute/slurm_submit.h"

#include <algorithm>
#include <array>
#include <cassert>
#include <map>
#include <string_view>

#include <fmt/format.h>

#include "execute/slurm_script.h"
#include "perturb/core/error.h"
#include "perturb/core/files.h"

namespace perturb {
namespace {

/// Whether the same words would be refused tomorrow. Everything else may be a limit, or a
/// controller that is busy or away.
bool is_final(std::string_view trouble) {
  constexpr std::array<std::string_view, 10> kFinal = {
      "nvalid partition", "nvalid account",          "nvalid qos",
      "nvalid feature",   "nvalid generic resource", "unrecognized option",
      "nvalid --",        "Unable to open file",     "configuration is not available",
      "nvalid time"};
  return std::any_of(kFinal.begin(), kFinal.end(), [&](std::string_view words) {
    return trouble.find(words) != std::string_view::npos;
  });
}

std::string counted(std::size_t n, std::string_view what) {
  return fmt::format("{} {}{}", n, what, n == 1 ? "" : "s");
}

}  // namespace

LayoutLimits layout_limits(const SlurmOptions& options, const SlurmLimits& limits) {
  LayoutLimits out;
  out.array = options.array > 0 ? std::min(options.array, limits.array) : limits.array;
  out.tasks = std::max<std::size_t>(1, std::min(options.tasks, limits.jobs / 2));
  out.bundle = options.bundle;
  out.bundle_steps = options.bundle_steps;
  return out;
}

std::string size_text(const std::vector<ArrayLayout>& arrays) {
  std::size_t tasks = 0;
  std::size_t stages = 0;
  for (const ArrayLayout& array : arrays) {
    tasks += array.tasks.size();
    for (const auto& task : array.tasks) stages += task.size();
  }
  return fmt::format("{} in {} of {}", counted(stages, "stage"), counted(tasks, "task"),
                     counted(arrays.size(), "job array"));
}

BatchFolder write_batch(const SlurmOptions& options,
                        const std::vector<std::vector<TaskStage>>& tasks,
                        const std::vector<std::string>& after) {
  BatchFolder folder = make_batch(options.store);
  BatchFacts facts{.name = "perturb-" + folder.name(), .tasks = tasks.size()};
  for (std::size_t task = 0; task < tasks.size(); ++task) {
    std::string text;
    for (const TaskStage& stage : tasks[task]) {
      text += to_text(stage);
      if (!stage.before) continue;
      const RecordName name{{}, stage.number, std::string(kBefore), 0, /*last=*/false};
      write_unsynced(folder.records() / file_name(name), sealed(to_text(*stage.before)));
    }
    facts.stages += tasks[task].size();
    write_unsynced(folder.task(task), sealed(text));
  }
  write_unsynced(folder.script(), script_of(options, folder, {facts.name, facts.tasks, after}));
  // From here on a run that comes after this one looks for the job.
  folder.write(facts);
  return folder;
}

Submission submit(const BatchFolder& batch) {
  const Answer answer = ask({"sbatch", "--parsable", batch.script().string()});
  if (!answer.found)
    throw Error(ExitCode::Usage, "there is no sbatch here",
                "--executor slurm is for a host from which jobs are submitted to Slurm");
  // "123", or "123;cluster"
  const std::string job = answer.out.substr(0, answer.out.find_first_not_of("0123456789"));
  if (answer.ok && !job.empty()) return {Submission::Is::Accepted, job, {}};
  if (is_final(answer.err))
    throw Error(ExitCode::Usage, "Slurm does not take the job: " + answer.err,
                "see [slurm] of the experiment file, slurm.toml of the site, and docs/cluster.md");
  // It says so when it refuses; silence and broken connections say nothing.
  const bool refused = answer.err.find("submission failed") != std::string::npos &&
                       answer.err.find("imed out") == std::string::npos &&
                       answer.err.find("onnection") == std::string::npos;
  return {refused ? Submission::Is::Later : Submission::Is::Unsure, {}, answer.err};
}

std::string slurm_scripts(const SlurmOptions& options, const std::vector<Job>& jobs) {
  std::vector<Unsubmitted> stages;
  std::map<std::size_t, std::size_t> places;  // by number
  const auto placed = [&](std::size_t number) { return places.contains(number); };
  // A plan has parents first, but what else a stage waits for may come after it.
  for (std::size_t before = 0; stages.size() < jobs.size(); before = stages.size()) {
    for (const Job& job : jobs) {
      if (placed(job.number) || (job.parent && !placed(*job.parent)) ||
          !std::all_of(job.after.begin(), job.after.end(), placed))
        continue;
      Unsubmitted stage;
      stage.steps = job.assignment.end - job.assignment.begin;
      if (job.parent) stage.parent = places.at(*job.parent);
      for (const std::size_t other : job.after) stage.after.push_back(places.at(other));
      places[job.number] = stages.size();
      stages.push_back(std::move(stage));
    }
    assert(stages.size() > before && "stages wait for each other in a circle");
    if (stages.size() == before) break;
  }
  const Answer config = ask({"scontrol", "show", "config"});
  const auto arrays = lay_out(stages, layout_limits(options, limits_from(config.out)));
  std::string text = fmt::format("# {}\n", size_text(arrays));
  if (!config.ok)
    text += "# Slurm could not be asked for its limits (" + config.err +
            "): these are its usual ones\n";
  for (std::size_t number = 0; number < arrays.size(); ++number) {
    ScriptFacts facts{fmt::format("perturb-{}", number + 1), arrays[number].tasks.size(), {}};
    for (const std::size_t other : arrays[number].after)
      facts.after.push_back(fmt::format("JOB_{}", other + 1));
    const BatchFolder batch(slurm_folder(options.store) / fmt::format("BATCH_{}", number + 1));
    text += fmt::format("\n# job array {}\n{}", number + 1, script_of(options, batch, facts));
  }
  return text;
}

}  // namespace perturb
