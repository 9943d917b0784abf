#include "perturb/execute/worker.h"

#include <filesystem>
#include <memory>

#include <CLI/CLI.hpp>

#include "cli/commands.h"
#include "cli/engine_loader.h"
#include "perturb/catalog/data_files.h"

namespace perturb {

namespace {

ExitCode serve(const Context& context, const std::filesystem::path& records) {
  // Nothing waits in a worker's memory: whoever goes on from a state may be another process.
  const auto engine = load_engine({.data_folders = data_folders(context.data_options({})),
                                   .store = context.store,
                                   .memory = 0});
  serve_stages(records, [&](const Assignment& stage, Progress& progress, const Report& report) {
    return engine->train(stage, progress, report);
  });
  return ExitCode::Done;
}

}  // namespace

void add_worker(CLI::App& app, Context& context) {
  // Not for people: `run --isolate` starts it, and hands it the store and the data folders.
  CLI::App* command = app.add_subcommand("worker", "Carry out stages for another process");
  command->group("");
  auto records = std::make_shared<std::filesystem::path>();
  command->add_option("RECORDS", *records, "Folder for what the stages leave")->required();
  context.on(command, [&context, records] { return serve(context, *records); });
}

}  // namespace perturb
