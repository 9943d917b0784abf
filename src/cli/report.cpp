#include <CLI/CLI.hpp>
#include <nlohmann/json.hpp>

#include "cli/commands.h"
#include "cli/experiment_arguments.h"
#include "cli/report_writer.h"
#include "cli/summary_view.h"
#include "perturb/plan/plan.h"

namespace perturb {

void add_report(CLI::App& app, Context& context) {
  CLI::App* command = app.add_subcommand("report", "Write everything that is known on one page");
  command->footer(
      "An HTML file that opens offline, anywhere: tables, plots, every trial, what failed, and\n"
      "where it comes from. Trains nothing. `run --report` keeps it fresh while a sweep goes "
      "on.\n\n"
      "Examples:\n"
      "  perturb report momentum.toml\n"
      "  perturb report momentum.toml --metric test.accuracy --at epoch:5 -o epoch5.html");
  struct Options {
    ExperimentArguments arguments;
    SummaryArguments summary;
    std::filesystem::path page;
  };
  auto options = std::make_shared<Options>();
  options->arguments.add_to(*command);
  options->summary.add_selection_to(*command);
  options->summary.add_place_to(*command);
  command->add_option("-o,--out", options->page, "The page; else the experiment's name with .html")
      ->type_name("FILE");
  context.on(command, [&context, options] {
    const Loaded loaded = options->arguments.load(context);
    const Store store = store_to_read(context.store_folder(options->arguments.file));
    const Plan plan = make_plan(loaded.experiment, store);
    for (const std::string& missing : *loaded.missing_data)
      context.err.line("note: without the data it is not known which results belong to the file: " +
                       missing);
    ReportWriter writer(context, loaded.experiment, store,
                        {.file = options->arguments.file,
                         .page = options->page,
                         .summary = options->summary.options()});
    writer.write(plan);
    if (context.json)
      context.out.line(nlohmann::json{{"report", writer.page().string()}}.dump());
    else
      context.out.line(writer.page().string());
    return ExitCode::Done;
  });
}

}  // namespace perturb
