#include "perturb/execute/worker.h"

#include <filesystem>
#include <memory>
#include <string>
#include <vector>

#include <CLI/CLI.hpp>

#include "cli/commands.h"
#include "cli/engine_loader.h"
#include "cli/plugins.h"

namespace perturb {

namespace {

struct Options {
  std::filesystem::path records;
  std::vector<std::string> plugins;
};

ExitCode serve(Context& context, const Options& options) {
  load_exact_plugins(context, options.plugins);
  EngineOptions engine_with = engine_options(context, {});
  engine_with.store = context.store;
  // Nothing waits in a worker's memory: whoever goes on from a state may be another process.
  engine_with.memory = 0;
  const auto engine = load_engine(engine_with);
  serve_stages(options.records,
               [&](const Assignment& stage, Progress& progress, const Report& report) {
                 return engine->train(stage, progress, report);
               });
  return ExitCode::Done;
}

}  // namespace

void add_worker(CLI::App& app, Context& context) {
  // Not for people: `run --isolate` starts it, and hands it the store, the data folders and
  // plugins.
  CLI::App* command = app.add_subcommand("worker", "Carry out stages for another process");
  command->group("");
  auto options = std::make_shared<Options>();
  command->add_option("RECORDS", options->records, "Folder for what the stages leave")->required();
  command
      ->add_option("--exact-plugin", options->plugins,
                   "DIGEST:FILE, a plugin and what it has to be")
      ->allow_extra_args(false);
  context.on(command, [&context, options] { return serve(context, *options); });
}

}  // namespace perturb
