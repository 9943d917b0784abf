#include <CLI/CLI.hpp>

#include "cli/commands.h"
#include "cli/experiment_arguments.h"
#include "cli/summary_view.h"
#include "perturb/report/table.h"

namespace perturb {

void add_show(CLI::App& app, Context& context) {
  CLI::App* command =
      app.add_subcommand("show", "Compare interventions with their control, from the store");
  command->footer(
      "Trains nothing; trials that are missing are counted beside n. docs/statistics.md says what\n"
      "the figures are.\n\n"
      "Examples:\n"
      "  perturb show momentum.toml\n"
      "  perturb show momentum.toml --metric train.loss --by optimizer.momentum,seeds.init\n"
      "  perturb show momentum.toml --metric 'steps_to(test.accuracy,0.8)'\n"
      "  perturb show momentum.toml --at epoch:5 --seeds --csv > epoch5.csv");
  struct Options {
    ExperimentArguments arguments;
    SummaryArguments summary;
  };
  auto options = std::make_shared<Options>();
  options->arguments.add_to(*command);
  options->summary.add_selection_to(*command);
  options->summary.add_all_to(*command);
  options->summary.add_place_to(*command);
  options->summary.add_views_to(*command);
  context.on(command, [&context, options] {
    if ((options->summary.csv || options->summary.spreadsheet) && context.json)
      throw Error(ExitCode::Usage, "CSV and JSON are two answers", "leave out one of them");
    const Loaded loaded = options->arguments.load(context);
    const Store store = store_to_read(context.store_folder(options->arguments.file));
    const Plan plan = make_plan(loaded.experiment, store);
    for (const std::string& missing : *loaded.missing_data)
      context.err.line("note: without the data it is not known which results belong to the file: " +
                       printable(missing));
    show_summary(context, loaded.experiment, plan, store, options->summary);
    note_fingerprints(context, loaded.experiment.name(), store);
    return ExitCode::Done;
  });
}

}  // namespace perturb
