#include "perturb/execute/run.h"

#include <algorithm>
#include <cstdint>
#include <memory>
#include <optional>
#include <utility>
#include <vector>

#include <CLI/CLI.hpp>
#include <fmt/format.h>

#include "cli/commands.h"
#include "cli/executors.h"
#include "cli/experiment_arguments.h"
#include "cli/first.h"
#include "cli/plan_view.h"
#include "cli/recorded_runs.h"
#include "cli/report_writer.h"
#include "cli/summary_view.h"
#include "cli/training.h"
#include "cli/wording.h"
#include "perturb/execute/slurm.h"
#include "perturb/plan/ahead.h"
#include "perturb/plan/declaration.h"
#include "perturb/plan/plan.h"
#include "perturb/report/table.h"

namespace perturb {

namespace {

struct Options {
  ExperimentArguments arguments;
  SummaryArguments summary;
  TrainingOptions training;
  std::optional<std::uint64_t> shuffle;
  bool dry_run = false;
  bool report = false;
  std::filesystem::path page;
};

/// Says what stands in the way before anything is created or trained.
void require_runnable(const Loaded& loaded) {
  const Experiment& experiment = loaded.experiment;
  if (!experiment.unsupported().empty()) throw InvalidExperiment(experiment.unsupported());
  experiment.data(experiment.trial(0));
}

void require_data(const Loaded& loaded) {
  if (loaded.missing_data->empty()) return;
  throw Error(ExitCode::Usage, loaded.missing_data->front(), "`perturb data` lists all data sets");
}

/// What jobs of a former run on a cluster left goes to the store before anything is planned.
void take_left(const Options& options, Context& context, const Experiment& experiment,
               Store& store) {
  if (!slurm_has_batches(store.folder())) return;
  RecordedRuns runs(store, context, experiment);
  SlurmLeft left(store.folder());
  store.hold(left.states());
  const std::size_t count = left.each(
      [&](const Record& record, const std::vector<Share>& shares, const std::string& fingerprint) {
        store.keep(runs.with(fingerprint), record, shares);
      });
  store.flush();
  left.taken();
  runs.end("done");
  if (count > 0 && !options.training.quiet)
    context.err.line(
        fmt::format("took over {} that jobs of a former run left", counted(count, "record")));
  if (!options.training.executor.on_slurm())
    warn(context,
         "jobs of a former run may still be in the queue of Slurm\n  `perturb cancel` ends "
         "them; with --executor slurm they go on");
}

/// The scripts on stdout.
void show_scripts(Context& context, const Options& options) {
  const Loaded loaded = options.arguments.load(context);
  const Experiment& experiment = loaded.experiment;
  require_runnable(loaded);
  const auto folder = context.store_folder(options.arguments.file);
  const Plan plan = make_plan(experiment, store_to_read(folder));
  require_data(loaded);
  const auto& others = experiment.others();
  for (std::size_t other = 0; other < others.size(); ++other) {
    if (!lacking_states(plan, other).empty())
      warn(context, fmt::format("not among them: the jobs of {}, which come first",
                                printable(others[other].experiment->name())));
  }
  std::vector<Job> jobs;
  for (std::size_t number = 0; number < plan.stages.size(); ++number)
    jobs.push_back(job_ahead(plan, number, assignment_ahead(experiment, plan, number)));
  context.out.write(slurm_scripts(
      slurm_options(options.training.executor, context, folder, options.arguments.file,
                    {options.arguments.file.string(), experiment.source()}),
      jobs));
}

bool failed_before(const Plan& plan) {
  for (const Planned& planned : plan.trials) {
    if (planned.reason == Reason::Diverged) return true;
  }
  return false;
}

ExitCode run(Context& context, const Options& options) {
  options.training.executor.check();
  if (options.training.fail_fast && options.training.executor.on_slurm())
    throw Error(
        ExitCode::Usage, "--fail-fast is not for --executor slurm",
        "what is in the queue cannot be stopped at the first failure; `perturb cancel` ends "
        "it");
  if (options.dry_run && options.training.executor.on_slurm()) {
    show_scripts(context, options);
    return ExitCode::Done;
  }
  if (options.dry_run) {
    show_plan(context, options.arguments, {.workers = options.training.executor.workers()});
    return ExitCode::Done;
  }
  const Loaded loaded = options.arguments.load(context);
  const Experiment& experiment = loaded.experiment;
  require_runnable(loaded);
  require_data(loaded);
  // A table that cannot be made is said before the training, not after it.
  quantities(experiment, options.summary.options().metrics, {});
  Store store = Store::open(context.store_folder(options.arguments.file), Store::Access::Write);
  take_left(options, context, experiment, store);
  Plan plan = make_plan(experiment, store);
  require_data(loaded);  // data that only a variation uses
  // Before what it goes on from is trained: then that is kept for it.
  declare(store, experiment, plan);
  std::optional<ReportWriter> report;
  if (options.report || !options.page.empty()) {
    report.emplace(context, experiment, store,
                   ReportWriter::Options{.file = options.arguments.file,
                                         .page = options.page,
                                         .summary = options.summary.options()});
  }
  const auto write_report = [&] {
    if (!report) return;
    report->write(plan);
    if (!options.training.quiet) context.err.line("report: " + printable(report->page().string()));
  };

  ExitCode code = ExitCode::Done;
  if (plan.stages.empty()) {
    adopt_alone({context, options.training, options.arguments.file, experiment, plan, store});
    if (!options.training.quiet)
      context.err.line(
          fmt::format("nothing to train: the store has all {}", counted(plan.distinct, "trial")));
  }
  while (!plan.stages.empty()) {
    const Training training{
        context, options.training,           options.arguments.file, experiment, plan,
        store,   report ? &*report : nullptr};
    const Trained before = train_first(training);
    if (before.again) plan = make_plan(experiment, store);
    if (options.shuffle) shuffle(plan, *options.shuffle);
    const Trained trained = ends_run(before, options.training) ? before : train(training);
    if (trained.code != ExitCode::Done && trained.code != ExitCode::SomeFailed) {
      write_report();
      return trained.code;
    }
    code = std::max({code, before.code, trained.code});
    if (!trained.again || ends_run(before, options.training)) break;
    plan = make_plan(experiment, store);
  }
  show_summary(context, experiment, plan, store, options.summary);
  note_fingerprints(context, experiment.name(), store);
  write_report();
  return failed_before(plan) ? ExitCode::SomeFailed : code;
}

}  // namespace

void add_run(CLI::App& app, Context& context) {
  CLI::App* command =
      app.add_subcommand("run", "Train what the store does not hold yet, then show the table");
  command->footer(
      "Controls run first. A trial that fails or diverges is recorded and stops nothing else; the\n"
      "run then ends with 1. Ctrl-C stops cleanly, and the next run goes on; twice stops at once.\n"
      "What trials have in common is trained once, and what a checkpoint has is not trained "
      "again.\n"
      "Results are the same bits for any -j, any order, --isolate and --executor slurm; there, "
      "Ctrl-C\n"
      "leaves the jobs to go on, the next run takes what they did, and --dry-run prints the "
      "scripts.\n\n"
      "Examples:\n"
      "  perturb run momentum.toml\n"
      "  perturb run momentum.toml train.epochs=1 seeds.init=0,1,2 -j 2\n"
      "  perturb run momentum.toml --isolate --timeout 600 --memory 4GB\n"
      "  perturb run momentum.toml --executor slurm");
  auto options = std::make_shared<Options>();
  options->arguments.add_to(*command);
  options->training.executor.add_to(*command);
  command->add_flag("--fail-fast", options->training.fail_fast,
                    "Stop at the first trial that fails or diverges");
  command->add_option("--shuffle", options->shuffle, "Run trials in a random order")
      ->type_name("SEED");
  command->add_flag("--dry-run", options->dry_run, "Show the plan and train nothing");
  command->add_flag("-q,--quiet", options->training.quiet, "No progress; failures are still told");
  command->add_flag("--report", options->report,
                    "Keep a page up to date meanwhile, named like the experiment (`report`)");
  command->add_option("--report-file", options->page, "The same, written there")->type_name("FILE");
  options->summary.add_selection_to(*command);
  options->summary.add_all_to(*command);
  context.on(command, [&context, options] { return run(context, *options); });
}

}  // namespace perturb
