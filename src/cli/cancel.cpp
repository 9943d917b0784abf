#include <CLI/CLI.hpp>
#include <fmt/format.h>
#include <fmt/ranges.h>
#include <nlohmann/json.hpp>

#include "cli/commands.h"
#include "cli/wording.h"
#include "perturb/execute/slurm.h"
#include "perturb/report/table.h"

namespace perturb {

namespace {

ExitCode cancel(Context& context, const std::filesystem::path& file) {
  const auto store = context.store_folder(file);
  if (!slurm_has_batches(store)) {
    context.err.line("there are no jobs of this store: " + printable(store.string()));
    if (context.json) context.out.line(R"({"cancelled":[]})");
    return ExitCode::Done;
  }
  const auto jobs = slurm_cancel(store);
  if (context.json) {
    context.out.line(nlohmann::json{{"cancelled", jobs}}.dump());
    return ExitCode::Done;
  }
  if (jobs.empty()) {
    context.err.line("its jobs were cancelled before");
  } else {
    context.err.line(fmt::format("cancelled {}: {}", counted(jobs.size(), "job"),
                                 printable(fmt::format("{}", fmt::join(jobs, ", ")))));
  }
  context.err.line("what was done is kept; the next `perturb run` takes it and goes on from there");
  return ExitCode::Done;
}

}  // namespace

void add_cancel(CLI::App& app, Context& context) {
  CLI::App* command = app.add_subcommand("cancel", "End the jobs of a run on a cluster");
  command->footer(
      "All jobs that were submitted for the store beside FILE (or --store) and wait or run. A run\n"
      "that watches them ends, too. What they have left is taken by the next run.\n\n"
      "Example:\n"
      "  perturb cancel momentum.toml");
  auto file = std::make_shared<std::filesystem::path>();
  command->add_option("FILE", *file, "The experiment file");
  context.on(command, [&context, file] { return cancel(context, *file); });
}

}  // namespace perturb
