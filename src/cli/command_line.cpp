#include "cli/command_line.h"

#include <algorithm>

#include <CLI/CLI.hpp>

#include "cli/help.h"
#include "cli/plugins.h"
#include "perturb/core/diagnostic.h"

namespace perturb {

namespace {

constexpr const char* kExamples = R"(Examples:
  perturb check momentum.toml                  is the file right, and what is in it?
  perturb plan momentum.toml                   what would run, what is known already?
  perturb run momentum.toml -j 2               train what is missing, then show the table
  perturb run momentum.toml optimizer.lr=0.1,0.01 train.epochs=3
  perturb why momentum.toml                    why is it new, or not?
  perturb show momentum.toml --by optimizer.momentum
  perturb query momentum.toml "select intervention, avg(value) from results group by 1"
  perturb list model                           what can be named in a file
  perturb describe lenet5                      and its parameters

Data goes to stdout, progress and messages to stderr. NO_COLOR turns colour off.

Exit codes:
  0  done                           4  another process is writing to the store
  1  some trials failed             5  disk full, no permission, read or write error
  2  command line or file is wrong  6  something was found (verify, audit, doctor)
  3  store damaged or too new      70  a bug in perturb
  130, 143  interrupted; the next run goes on)";

std::string joined(const std::vector<std::string>& arguments) {
  std::string line = "perturb";
  for (const std::string& argument : arguments) {
    const bool plain = !argument.empty() &&
                       argument.find_first_of(" \t\n'\"\\$*?[]{}()<>|&;#~!`") == std::string::npos;
    std::string quoted = argument;
    for (std::size_t at = 0; (at = quoted.find('\'', at)) != std::string::npos; at += 4)
      quoted.replace(at, 1, "'\\''");
    line += " " + (plain ? argument : "'" + quoted + "'");
  }
  return line;
}

/// The word that should have been a command, if that is what is wrong.
std::string unknown_command(const std::vector<std::string>& arguments, const CLI::App& app) {
  for (std::size_t i = 0; i < arguments.size(); ++i) {
    const std::string& word = arguments[i];
    if (word == "--store" || word == "--data" || word == "--plugin" || word == "--color") ++i;
    if (word.starts_with('-')) continue;
    const auto commands =
        app.get_subcommands([&](const CLI::App* c) { return c->get_name() == word; });
    return commands.empty() ? word : "";
  }
  return "";
}

[[noreturn]] void usage_error(const std::vector<std::string>& arguments, const CLI::App& app,
                              const CLI::ParseError& error) {
  std::vector<std::string> names;
  for (const CLI::App* command : app.get_subcommands({})) {
    if (!command->get_group().empty()) names.push_back(command->get_name());
  }
  if (const std::string word = unknown_command(arguments, app); !word.empty()) {
    const std::string near = nearest(word, names);
    throw Error(ExitCode::Usage, "there is no command \"" + word + "\"",
                near.empty() ? "`perturb --help` lists the commands"
                             : "did you mean `perturb " + near + "`?");
  }
  const auto given = app.get_subcommands();
  const std::string command = given.empty() ? "" : given.front()->get_name() + " ";
  std::string what = error.what();
  what.erase(std::find(what.begin(), what.end(), '\n'), what.end());
  throw Error(ExitCode::Usage, what, "`perturb " + command + "--help` says what there is");
}

}  // namespace

std::unique_ptr<CLI::App> make_command_line(Context& context) {
  auto app = std::make_unique<CLI::App>(
      "perturb runs declared experiments on neural networks: it trains what the store does not "
      "hold yet, and compares every intervention with its control.",
      "perturb");
  app->formatter(std::make_shared<HelpFormatter>());
  app->set_version_flag("--version", "perturb " PERTURB_VERSION, "Show the version");
  app->set_help_flag("-h,--help", "Show this help");
  app->footer(kExamples);
  app->require_subcommand(1);
  app->fallthrough();  // global options may follow the command

  app->add_option("--store", context.store,
                  "Folder of the results; else $PERTURB_STORE, else .perturb beside FILE")
      ->type_name("FOLDER");
  app->add_option("--data", context.data, "Folder that is searched first for data sets; repeatable")
      ->type_name("FOLDER")
      ->allow_extra_args(false);
  app->add_option("--plugin", context.plugin_names,
                  "Plugin to load besides those that FILE names; repeatable")
      ->type_name("FILE")
      ->allow_extra_args(false);
  app->add_flag("--json", context.json, "Data as JSON");
  const std::vector<std::string> colors = {"auto", "always", "never"};
  app->add_option_function<std::string>(
         "--color",
         [&context](const std::string& when) {
           const Color color = when == "always"  ? Color::Always
                               : when == "never" ? Color::Never
                                                 : Color::Auto;
           context.out.set_color(color);
           context.err.set_color(color);
         },
         "Colour: auto, always or never")
      ->check(CLI::IsMember(colors))
      ->type_name("WHEN");

  add_check(*app, context);
  add_plan(*app, context);
  add_run(*app, context);
  add_status(*app, context);
  add_why(*app, context);
  add_show(*app, context);
  add_plot(*app, context);
  add_diff(*app, context);
  add_query(*app, context);
  add_audit(*app, context);
  add_report(*app, context);
  add_export(*app, context);
  add_import(*app, context);
  add_verify(*app, context);
  add_gc(*app, context);
  add_list(*app, context);
  add_describe(*app, context);
  add_data(*app, context);
  add_doctor(*app, context);
  add_completion(*app, context);
  add_worker(*app, context);
  add_plugin_probe(*app, context);
  return app;
}

ExitCode run_command_line(const std::vector<std::string>& arguments, Context& context) {
  const auto app = make_command_line(context);
  context.command_line = joined(arguments);
  if (arguments.empty()) {
    context.err.write(app->help());
    return ExitCode::Usage;
  }
  try {
    app->parse(std::vector<std::string>(arguments.rbegin(), arguments.rend()));
  } catch (const CLI::CallForHelp&) {
    const CLI::App* asked = app.get();
    while (!asked->get_subcommands().empty()) asked = asked->get_subcommands().front();
    context.out.write(asked->help());
    return ExitCode::Done;
  } catch (const CLI::CallForVersion& version) {
    context.out.line(version.what());
    return ExitCode::Done;
  } catch (const CLI::ParseError& error) {
    usage_error(arguments, *app, error);
  }
  load_plugins(context);
  return context.action();
}

}  // namespace perturb
