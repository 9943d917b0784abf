#include "cli/executors.h"

#include <system_error>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <fmt/format.h>

#include "cli/cores.h"
#include "cli/plugins.h"
#include "cli/slurm_arguments.h"
#include "perturb/catalog/data_files.h"
#include "perturb/store/upkeep.h"

namespace perturb {

namespace {

namespace fs = std::filesystem;

/// Whoever made such a folder held the store's lock, which is ours now: it is dead, and so are its
/// workers.
void clear_left_work(const fs::path& store) {
  std::error_code ignored;
  for (const auto& entry : fs::directory_iterator(store, ignored)) {
    if (is_left_work(entry.path())) fs::remove_all(entry.path(), ignored);
  }
}

}  // namespace

void ExecutorArguments::add_to(CLI::App& command) {
  kind = "local";
  const std::vector<std::string> kinds = {"local", "slurm"};
  command
      .add_option("--executor", kind, "Where stages are carried out: local (here), or slurm (jobs)")
      ->check(CLI::IsMember(kinds))
      ->type_name("KIND");
  command
      .add_option("--slurm-options", slurm_file,
                  "Settings of the cluster; else perturb/slurm.toml of the user's configuration")
      ->check(CLI::ExistingFile)
      ->type_name("FILE");
  command.add_option("-j,--jobs", jobs, "Stages at once; else one a physical core, on Slurm any")
      ->check(CLI::Range(1, 4096))
      ->type_name("N");
  command.add_flag("--isolate", isolate,
                   "A process for each worker: what crashes or hangs takes nothing else along");
  command.add_option("--timeout", timeout, "End a stage that takes longer; with --isolate")
      ->check(CLI::PositiveNumber)
      ->type_name("SECONDS");
  command.add_option("--memory", memory, "What a worker may allocate, such as 4GB; with --isolate")
      ->transform(CLI::AsSizeValue(/*kb_is_1000=*/false))
      ->type_name("SIZE");
}

void ExecutorArguments::check() const {
  if (!on_slurm() && !slurm_file.empty())
    throw Error(ExitCode::Usage, "--slurm-options needs --executor slurm");
  if (on_slurm() && (isolate || timeout > 0 || memory > 0))
    throw Error(ExitCode::Usage,
                fmt::format("{} is not for --executor slurm", isolate       ? "--isolate"
                                                              : timeout > 0 ? "--timeout"
                                                                            : "--memory"),
                "Slurm isolates and limits tasks itself: see `time` and `memory` of [slurm]");
  if (isolate || (timeout == 0 && memory == 0)) return;
  throw Error(ExitCode::Usage,
              fmt::format("{} needs --isolate", timeout > 0 ? "--timeout" : "--memory"),
              "a thread cannot be ended from outside, a process can: add --isolate");
}

std::size_t ExecutorArguments::workers() const { return jobs > 0 ? jobs : physical_cores(); }

namespace {

/// The program with what every worker is told. It may run elsewhere, in another folder.
std::vector<std::string> program_for(const Context& context, const fs::path& store,
                                     const fs::path& experiment) {
  std::vector<std::string> command = {fs::read_symlink("/proc/self/exe").string(), "--store",
                                      fs::absolute(store).lexically_normal().string()};
  for (const auto& folder : data_folders(context.data_options(experiment))) {
    command.emplace_back("--data");
    command.push_back(fs::absolute(folder).string());
  }
  return command;
}

void add_plugins(const Context& context, std::vector<std::string>& command) {
  for (const std::string& plugin : exact_plugins(context)) {
    command.emplace_back("--exact-plugin");
    command.push_back(plugin);
  }
}

}  // namespace

SlurmOptions slurm_options(const ExecutorArguments& arguments, const Context& context,
                           const fs::path& store, const fs::path& experiment, const Source& text) {
  SlurmOptions options = slurm_options(arguments.slurm_file, text);
  if (arguments.jobs > 0) options.at_once = arguments.jobs;
  options.store = fs::absolute(store).lexically_normal();
  options.command = program_for(context, store, experiment);
  options.command.emplace_back("task");
  add_plugins(context, options.command);
  return options;
}

std::unique_ptr<Executor> make_executor(const ExecutorArguments& arguments, const Context& context,
                                        Engine& engine, const fs::path& store,
                                        const fs::path& experiment, std::size_t workers) {
  clear_left_work(store);
  if (!arguments.isolate) {
    return pool(
        [&engine](const Assignment& assignment, Progress& progress, const Report& report) {
          return engine.train(assignment, progress, report);
        },
        workers);
  }
  std::vector<std::string> command = program_for(context, store, experiment);
  command.emplace_back("worker");
  add_plugins(context, command);
  return isolated({.command = std::move(command),
                   .workers = workers,
                   .timeout = arguments.timeout,
                   .memory = arguments.memory,
                   .folder = store / fmt::format("work-{}", ::getpid())});
}

}  // namespace perturb
