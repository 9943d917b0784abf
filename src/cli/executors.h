// Where stages are carried out: the options of `run` that say so, and what they make.
#pragma once

#include <cstddef>
#include <filesystem>
#include <memory>
#include <string>

#include "cli/commands.h"
#include "perturb/core/diagnostic.h"
#include "perturb/execute/executor.h"
#include "perturb/execute/slurm.h"
#include "perturb/train/engine.h"

namespace perturb {

struct ExecutorArguments {
  std::size_t jobs = 0;  ///< 0: the physical cores
  std::string kind;      ///< "local" or "slurm"
  bool isolate = false;
  double timeout = 0;      ///< seconds a stage
  std::size_t memory = 0;  ///< bytes a worker
  std::filesystem::path slurm_file;

  void add_to(CLI::App& command);
  /// Throws Error(Usage) for options that do not go together.
  void check() const;
  std::size_t workers() const;
  bool on_slurm() const { return kind == "slurm"; }
};

/// With the program and its arguments that a task runs. `experiment` says what `store` does below.
SlurmOptions slurm_options(const ExecutorArguments& arguments, const Context& context,
                           const std::filesystem::path& store,
                           const std::filesystem::path& experiment, const Source& text);

/// `store`: the folder of the store that the caller has locked; `experiment` where data are
/// looked for, too. The executor uses `engine` unless it isolates.
std::unique_ptr<Executor> make_executor(const ExecutorArguments& arguments, const Context& context,
                                        Engine& engine, const std::filesystem::path& store,
                                        const std::filesystem::path& experiment,
                                        std::size_t workers);

}  // namespace perturb
