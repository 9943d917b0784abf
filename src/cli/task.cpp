#include <filesystem>
#include <memory>
#include <string>
#include <vector>

#include <CLI/CLI.hpp>

#include "cli/commands.h"
#include "cli/engine_loader.h"
#include "cli/plugins.h"
#include "perturb/execute/slurm.h"

namespace perturb {

namespace {

struct Options {
  SlurmTask task;
  std::vector<std::string> plugins;
};

ExitCode work(Context& context, Options& options) {
  load_exact_plugins(context, options.plugins);
  EngineOptions engine_with = engine_options(context, {});
  engine_with.store = context.store;
  // Whoever goes on from a state is another process, perhaps on another node.
  engine_with.memory = 0;
  const auto engine = load_engine(engine_with);
  options.task.store = context.store;
  options.task.fingerprint = engine->numerics(/*measure=*/false).fingerprint;
  const bool all = work_through(
      options.task, [&](const Assignment& stage, Progress& progress, const Report& report) {
        return engine->train(stage, progress, report);
      });
  return all ? ExitCode::Done : static_cast<ExitCode>(kStagesLeft);
}

}  // namespace

void add_task(CLI::App& app, Context& context) {
  // Not for people: the script of a job array runs it, and hands it the store, the data folders and
  // plugins.
  CLI::App* command = app.add_subcommand("task", "Carry out a task of a job array");
  command->group("");
  auto options = std::make_shared<Options>();
  command
      ->add_option("--exact-plugin", options->plugins,
                   "DIGEST:FILE, a plugin and what it has to be")
      ->allow_extra_args(false);
  command->add_option("BATCH", options->task.batch, "Folder of the array")->required();
  command->add_option("NUMBER", options->task.number, "The task's place in it")->required();
  command->add_option("ATTEMPT", options->task.attempt, "A name that no other process has")
      ->required();
  context.on(command, [&context, options] { return work(context, *options); });
}

}  // namespace perturb
