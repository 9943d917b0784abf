// The commands of the program: one function each, in a file of the command's name, that adds
// the subcommand with its options and help to the command line and hands main what to do.
//
//     void add_greet(CLI::App& app, Context& context) {
//       struct Options { std::string whom; };
//       auto options = std::make_shared<Options>();
//       CLI::App* command = app.add_subcommand("greet", "Say hello");
//       command->add_option("WHOM", options->whom, "Who is greeted")->required();
//       context.on(command, [&context, options] {
//         context.out.line("hello " + options->whom);
//         return ExitCode::Done;
//       });
//     }
//
// What goes wrong is thrown as Error (message, advice, exit code); main shows it.
#pragma once

#include <filesystem>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "cli/output.h"
#include "perturb/catalog/data_files.h"
#include "perturb/core/error.h"
#include "perturb/experiment/schema.h"
#include "perturb/plugin/load.h"

namespace CLI {
class App;
}

namespace perturb {

/// A plugin in this process, and what it brings.
struct LoadedPlugin {
  PluginFile file;
  std::shared_ptr<const Plugin> plugin;
};

/// What every command shares.
struct Context {
  using Action = std::function<ExitCode()>;

  std::filesystem::path store;                ///< --store; empty: see store_folder
  std::vector<std::filesystem::path> data;    ///< --data, in order
  bool json = false;                          ///< --json
  std::vector<std::string> plugin_names;      ///< --plugin, in order
  std::vector<LoadedPlugin> plugins;          ///< loaded, in order
  Schema schema;                              ///< filled by main before anything is parsed
  Output out{stdout};                         ///< data
  Output err{stderr, Output::Loss::Ignored};  ///< progress, warnings, errors
  std::string command_line;                   ///< as typed, for the store's record of the run

  /// Makes `action` what main does when `command` was given.
  void on(CLI::App* command, Action action);
  Action action;

  /// --store, else $PERTURB_STORE, else ".perturb" beside the experiment file (or, without a
  /// file, in the current folder).
  std::filesystem::path store_folder(const std::filesystem::path& experiment_file) const;
  /// Where data sets are looked for; `experiment_file` may be empty.
  DataOptions data_options(const std::filesystem::path& experiment_file) const;
};

void add_check(CLI::App& app, Context& context);
void add_plan(CLI::App& app, Context& context);
void add_run(CLI::App& app, Context& context);
void add_status(CLI::App& app, Context& context);
void add_why(CLI::App& app, Context& context);
void add_show(CLI::App& app, Context& context);
void add_plot(CLI::App& app, Context& context);
void add_diff(CLI::App& app, Context& context);
void add_query(CLI::App& app, Context& context);
void add_audit(CLI::App& app, Context& context);
void add_report(CLI::App& app, Context& context);
void add_export(CLI::App& app, Context& context);
void add_import(CLI::App& app, Context& context);
void add_verify(CLI::App& app, Context& context);
void add_gc(CLI::App& app, Context& context);
void add_list(CLI::App& app, Context& context);
void add_describe(CLI::App& app, Context& context);
void add_data(CLI::App& app, Context& context);
void add_doctor(CLI::App& app, Context& context);
void add_worker(CLI::App& app, Context& context);
void add_plugin_probe(CLI::App& app, Context& context);
void add_completion(CLI::App& app, Context& context);

}  // namespace perturb
