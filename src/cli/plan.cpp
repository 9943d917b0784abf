#include <CLI/CLI.hpp>

#include "cli/commands.h"
#include "cli/cores.h"
#include "cli/plan_view.h"

namespace perturb {

void add_plan(CLI::App& app, Context& context) {
  CLI::App* command =
      app.add_subcommand("plan", "Show what a run would train, and what is known already");
  command->footer(
      "States: cached (trained as far as asked, everything measured), diverged (it would again),\n"
      "new, longer (trained, but not as far), unmeasured (a metric is missing), retried (it "
      "failed\n"
      "or was stopped), same (another trial of the experiment is the same and answers for it).\n"
      "--json --all lists every trial under \"matrix\".\n\n"
      "Example:\n  perturb plan momentum.toml train.epochs=20 -j 4");
  struct Options {
    ExperimentArguments arguments;
    PlanViewOptions view;
  };
  auto options = std::make_shared<Options>();
  options->arguments.add_to(*command);
  command->add_flag("--all", options->view.all, "Every trial, however many there are");
  command
      ->add_option("-j,--jobs", options->view.workers,
                   "Trials at once, for the estimate of time; else the physical cores")
      ->check(CLI::Range(1, 4096))
      ->type_name("N");
  options->view.workers = 0;
  context.on(command, [&context, options] {
    PlanViewOptions view = options->view;
    if (view.workers == 0) view.workers = physical_cores();
    show_plan(context, options->arguments, view);
    return ExitCode::Done;
  });
}

}  // namespace perturb
