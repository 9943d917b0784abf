#include "cli/executors.h"

#include <system_error>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <fmt/format.h>

#include "cli/cores.h"
#include "cli/plugins.h"
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
  command.add_option("-j,--jobs", jobs, "Stages at once; else one a physical core")
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
  if (isolate || (timeout == 0 && memory == 0)) return;
  throw Error(ExitCode::Usage,
              fmt::format("{} needs --isolate", timeout > 0 ? "--timeout" : "--memory"),
              "a thread cannot be ended from outside, a process can: add --isolate");
}

std::size_t ExecutorArguments::workers() const { return jobs > 0 ? jobs : physical_cores(); }

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
  std::vector<std::string> command = {fs::read_symlink("/proc/self/exe").string(), "--store",
                                      store.string()};
  for (const auto& folder : data_folders(context.data_options(experiment))) {
    command.emplace_back("--data");
    command.push_back(folder.string());
  }
  command.emplace_back("worker");
  for (const std::string& plugin : exact_plugins(context)) {
    command.emplace_back("--exact-plugin");
    command.push_back(plugin);
  }
  return isolated({.command = std::move(command),
                   .workers = workers,
                   .timeout = arguments.timeout,
                   .memory = arguments.memory,
                   .folder = store / fmt::format("work-{}", ::getpid())});
}

}  // namespace perturb
