#include "perturb/execute/run.h"

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <utility>

#include <CLI/CLI.hpp>
#include <fmt/format.h>

#include "cli/commands.h"
#include "cli/engine_loader.h"
#include "cli/executors.h"
#include "cli/experiment_arguments.h"
#include "cli/live_report.h"
#include "cli/plan_view.h"
#include "cli/plugins.h"
#include "cli/report_writer.h"
#include "cli/run_display.h"
#include "cli/stop_signals.h"
#include "cli/summary_view.h"
#include "cli/wording.h"
#include "perturb/execute/executor.h"
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
  ExecutorArguments executor;
  std::optional<std::uint64_t> shuffle;
  bool fail_fast = false;
  bool dry_run = false;
  bool quiet = false;
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

/// A run's row in the store: whatever way the run ends, its end is recorded.
class RecordedRun {
 public:
  RecordedRun(Store& store, const RunRow& row) : store_(store), id_(store.begin_run(row)) {}
  ~RecordedRun() {
    if (ended_) return;
    try {
      store_.end_run(id_, "failed");
    } catch (const std::exception&) {
      // What ended the run is being reported already; a run without an end is shown as such.
    }
  }
  void end(std::string_view outcome) {
    ended_ = true;
    store_.end_run(id_, outcome);
  }
  RecordedRun(const RecordedRun&) = delete;
  RecordedRun& operator=(const RecordedRun&) = delete;

  RunId id() const { return id_; }

 private:
  Store& store_;
  RunId id_;
  bool ended_ = false;
};

std::string key_metric(const Experiment& experiment, const Record& record) {
  const std::vector<Quantity> shown = quantities(experiment, {}, {});
  if (shown.empty()) return {};
  const Digest definition = experiment.metrics()[shown.front().metric].definition();
  const Measured* last = nullptr;
  for (const Measured& measured : record.measured) {
    if (measured.metric == definition && (!last || measured.step >= last->step)) last = &measured;
  }
  if (last) return fmt::format("{} {:.4f}", shown.front().label, last->value);
  return {};
}

std::string summed_up(const RunCounts& counts, double seconds) {
  std::string text = fmt::format("{} done", grouped(static_cast<std::int64_t>(counts.done)));
  const auto add = [&](std::size_t n, std::string_view what) {
    if (n > 0) text += fmt::format(", {} {}", grouped(static_cast<std::int64_t>(n)), what);
  };
  add(counts.diverged, "diverged");
  add(counts.failed, "failed");
  add(counts.interrupted, "stopped under way");
  add(counts.left, "left to the queue");
  add(counts.not_started - counts.left, "not started");
  return fmt::format("{} in {} ({} steps)", text, duration(seconds), grouped(counts.steps));
}

struct Training {
  Context& context;
  const Options& options;
  const std::filesystem::path& file;  ///< of the experiment
  const Experiment& experiment;
  const Plan& plan;
  Store& store;
  ReportWriter* report = nullptr;
};

void warn(Context& context, const std::string& text) {
  context.err.line(inked("warning: ", Ink::Yellow, context.err.color()) + text);
}

/// What the store knows from other trials, it shall know of these.
void adopt(const Training& training, RunId run) {
  for (const Adoption& adoption : training.plan.adoptions) {
    const Planned& planned = training.plan.trials[adoption.trial];
    std::optional<std::int64_t> done;
    if (adoption.done) done = planned.end;
    training.store.adopt(run, planned.trial, adoption.states, done);
  }
  training.store.hold(held_states(training.experiment, training.plan));
  training.store.flush();
}

/// What a stage measures at step 0 is also of trials that have only their beginning in common.
void share_beginning(const Training& training, RunId run, const Stage& stage,
                     const Record& record) {
  if (record.measured.empty() || record.measured.front().step > 0) return;
  for (const std::size_t other : stage.beginners)
    training.store.adopt(run, training.plan.trials[other].trial,
                         {{0, 0, record.measured.front().state}}, std::nullopt);
}

/// The rows of a run whose stages are carried out on hosts that may compute differently: one for
/// each fingerprint of numerics that records come with.
class RecordedRuns {
 public:
  RecordedRuns(Store& store, RunRow row) : store_(store), row_(std::move(row)) {}

  RunId with(const std::string& fingerprint) {
    auto& run = runs_[fingerprint];
    if (!run) {
      row_.fingerprint = fingerprint;
      run = std::make_unique<RecordedRun>(store_, row_);
    }
    return run->id();
  }
  void end(std::string_view outcome) {
    for (const auto& [fingerprint, run] : runs_) run->end(outcome);
  }

 private:
  Store& store_;
  RunRow row_;
  std::map<std::string, std::unique_ptr<RecordedRun>> runs_;
};

/// Whether it is the state which the trial begins with that cannot be read.
bool forget_inherited(const Training& training, const Trial& trial) {
  bool any = false;
  for (const Predecessor& needed : trial.inherited()) {
    const Inherited* inherited = find_inherited(training.plan, needed.state);
    if (!inherited || !inherited->blob) continue;
    try {
      training.store.blobs().get(*inherited->blob);
    } catch (const Error&) {
      training.store.forget(needed.state);
      any = true;
    }
  }
  return any;
}

struct Trained {
  ExitCode code;       ///< Done, SomeFailed, or that of the signal that came
  bool again = false;  ///< something has to be planned anew
};

/// Whether nothing more is to be trained after this.
bool ends_run(const Trained& trained, const Options& options) {
  if (trained.code == ExitCode::Done) return false;
  return trained.code != ExitCode::SomeFailed || options.fail_fast;
}

/// Trains what the plan says.
Trained train(const Training& training) {
  Context& context = training.context;
  const Options& options = training.options;
  const Experiment& experiment = training.experiment;
  const Plan& plan = training.plan;
  Store& store = training.store;
  EngineOptions engine_with = engine_options(context, training.file);
  engine_with.store = store.folder();
  engine_with.threads = options.executor.workers();
  const auto engine = load_engine(engine_with);
  const Numerics numerics = engine->numerics(/*measure=*/false);
  if (numerics.blas_is_slow)
    warn(context,
         "LibTorch uses the reference BLAS, and training takes 20 times as long as with an "
         "optimised one\n  `./dev setup` or `apt install libopenblas0-openmp` installs it");

  const std::size_t workers = std::min(options.executor.workers(), plan.stages.size());
  if (!options.quiet)
    context.err.line(fmt::format(
        "{} to train, {} in the store; {}", counted(plan.order.size(), "trial"),
        grouped(static_cast<std::int64_t>(plan.cached)),
        options.executor.on_slurm()
            ? "on Slurm"
            : fmt::format("{} at a time{}", workers,
                          options.executor.jobs > 0 ? "" : " (one a core; -j N changes it)")));

  RecordedRuns runs(store, {.experiment = experiment.name(),
                            .command = command_of_run(context),
                            .version = PERTURB_VERSION,
                            .fingerprint = {}});
  RunId run = runs.with(numerics.fingerprint);
  adopt(training, run);
  RunDisplay display(
      context.err,
      {.trials = plan.order.size(),
       .steps = plan.steps_to_run,
       .quiet = options.quiet,
       .name = [&](std::size_t number) { return trial_name(experiment, number); },
       .stage = [&](std::size_t stage) -> const Stage& { return plan.stages[stage]; },
       .key_metric = [&](const Record& record) { return key_metric(experiment, record); }});
  LiveReport live({.folder = store.folder(),
                   .run = run,
                   .trials = std::ssize(plan.order),
                   .name = [&](std::size_t number) { return trial_name(experiment, number); },
                   .stage = [&](std::size_t stage) -> const Stage& { return plan.stages[stage]; }});
  const StopSignals signals;
  bool told = false;
  const RunEvents events = {
      .assign =
          [&](std::size_t stage, const SavedStates* saved) {
            return saved ? assignment(experiment, plan, stage, *saved)
                         : assignment_ahead(experiment, plan, stage);
          },
      .keep =
          [&](std::size_t stage, const Record& record, const std::vector<Share>& shares) {
            Record named = record;
            name_states(experiment, plan.stages[stage], named);
            store.keep(run, named, shares);
            share_beginning(training, run, plan.stages[stage], named);
            display.kept(stage, record);
          },
      .started =
          [&](std::size_t stage) {
            // What is only queued has not started, and there may be thousands.
            if (!options.executor.on_slurm()) display.started(stage);
          },
      .ended =
          [&](std::size_t trial, const Record& record) {
            display.ended(trial, record);
            live.ended(trial, record);
          },
      .idle = [&] { store.flush(); },
      .tick =
          [&](const std::vector<Running>& running) {
            if (signals.asked() && !std::exchange(told, true))
              display.say(
                  options.executor.on_slurm()
                      ? "stopping: what is in the queue stays there"
                      : "stopping: stages under way end at their next step; once more stops "
                        "at once");
            display.tick(running);
            live.tick(running, display.share(running), display.seconds_left(running));
            if (!training.report) return;
            if (const std::string trouble = training.report->follow(plan); !trouble.empty())
              display.say("warning: " + trouble);
          },
  };
  const auto executor = [&] {
    if (!options.executor.on_slurm())
      return make_executor(options.executor, context, *engine, store.folder(), training.file,
                           workers);
    SlurmOptions with = slurm_options(options.executor, context, store.folder(), training.file,
                                      {"", experiment.source()});
    with.say = [&](const std::string& text) { display.say(printable(text)); };
    with.numerics = [&](const std::string& fingerprint) { run = runs.with(fingerprint); };
    return slurm(std::move(with));
  }();
  const auto begun = std::chrono::steady_clock::now();
  const RunCounts counts =
      carry_out(plan, *executor, events, signals.asked(), {.fail_fast = options.fail_fast});
  bool again = false;
  for (const std::size_t stage : counts.lost) {
    const Trial trial = experiment.trial(plan.stages[stage].trial);
    if (forget_inherited(training, trial)) {
      again = true;
      continue;
    }
    store.forget(trial.state(plan.stages[stage].begin));
    // A state that was lost otherwise than with its checkpoint would be lost again.
    again = again || plan.stages[stage].checkpoint;
  }
  store.release(still_compared(plan, counts.over));
  store.flush();
  const double seconds =
      std::chrono::duration<double>(std::chrono::steady_clock::now() - begun).count();

  const bool trouble = counts.failed + counts.diverged > 0;
  const bool interrupted = signals.asked() || (counts.left > 0 && counts.lost.empty());
  runs.end(interrupted ? "interrupted" : trouble ? "failed" : "done");
  if (!options.quiet || trouble) display.say(summed_up(counts, seconds));
  if (signals.asked() && options.executor.on_slurm()) {
    display.say(
        "interrupted; jobs go on, the same command takes what they leave, and `perturb "
        "cancel` ends them");
    return {signals.code(), false};
  }
  if (interrupted) {
    display.say("interrupted; what was done is kept, and the same command goes on");
    return {signals.asked() ? signals.code() : ExitCode::Interrupted, false};
  }
  if (!counts.lost.empty()) {
    warn(context, fmt::format("{} could not be read; what goes on from there is trained anew",
                              counted(counts.lost.size(), "checkpoint")));
  }
  return {trouble ? ExitCode::SomeFailed : ExitCode::Done, again};
}

/// Without anything to train there is no run, unless there is something to write down.
void adopt_alone(const Training& training) {
  if (training.plan.adoptions.empty()) return;
  RecordedRun run(training.store, {.experiment = training.experiment.name(),
                                   .command = command_of_run(training.context),
                                   .version = PERTURB_VERSION,
                                   .fingerprint = "{}"});
  adopt(training, run.id());
  run.end("done");
}

/// What jobs of a former run on a cluster left goes to the store before anything is planned.
void take_left(const Options& options, Context& context, const Experiment& experiment,
               Store& store) {
  if (!slurm_has_batches(store.folder())) return;
  RecordedRuns runs(store, {.experiment = experiment.name(),
                            .command = command_of_run(context),
                            .version = PERTURB_VERSION,
                            .fingerprint = {}});
  SlurmLeft left(store.folder());
  store.hold(left.states());
  const std::size_t count = left.each(
      [&](const Record& record, const std::vector<Share>& shares, const std::string& fingerprint) {
        store.keep(runs.with(fingerprint), record, shares);
      });
  store.flush();
  left.taken();
  runs.end("done");
  if (count > 0 && !options.quiet)
    context.err.line(
        fmt::format("took over {} that jobs of a former run left", counted(count, "record")));
  if (!options.executor.on_slurm())
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
  context.out.write(
      slurm_scripts(slurm_options(options.executor, context, folder, options.arguments.file,
                                  {options.arguments.file.string(), experiment.source()}),
                    jobs));
}

/// Trains what the plan inherits from other experiments and the store does not have: first that.
Trained train_others(const Training& training) {
  ExitCode code = ExitCode::Done;
  bool any = false;  // then the plan has to be made anew
  const std::vector<OtherExperiment>& others = training.experiment.others();
  for (std::size_t other = 0; other < others.size(); ++other) {
    const auto wanted = lacking_states(training.plan, other);
    if (wanted.empty()) continue;
    any = true;
    const Experiment& experiment = *others[other].experiment;
    declare(training.store, experiment, make_plan(experiment, training.store));
    for (bool again = true; again;) {
      Plan plan = plan_of_states(experiment, training.store, wanted);
      Training first{training.context, training.options, others[other].file, experiment, plan,
                     training.store};
      const Trained before = train_others(first);
      if (ends_run(before, training.options)) return before;
      code = std::max(code, before.code);
      if (before.again) plan = plan_of_states(experiment, training.store, wanted);
      if (plan.stages.empty()) break;
      if (!training.options.quiet)
        training.context.err.line(fmt::format("first {}, which {} goes on from",
                                              printable(experiment.name()),
                                              printable(training.experiment.name())));
      const Trained trained = train(first);
      if (ends_run(trained, training.options)) return trained;
      code = std::max(code, trained.code);
      again = trained.again;
    }
  }
  return {code, any};
}

bool failed_before(const Plan& plan) {
  for (const Planned& planned : plan.trials) {
    if (planned.reason == Reason::Diverged) return true;
  }
  return false;
}

ExitCode run(Context& context, const Options& options) {
  options.executor.check();
  if (options.fail_fast && options.executor.on_slurm())
    throw Error(
        ExitCode::Usage, "--fail-fast is not for --executor slurm",
        "what is in the queue cannot be stopped at the first failure; `perturb cancel` ends "
        "it");
  if (options.dry_run && options.executor.on_slurm()) {
    show_scripts(context, options);
    return ExitCode::Done;
  }
  if (options.dry_run) {
    show_plan(context, options.arguments, {.workers = options.executor.workers()});
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
    if (!options.quiet) context.err.line("report: " + printable(report->page().string()));
  };

  ExitCode code = ExitCode::Done;
  if (plan.stages.empty()) {
    adopt_alone({context, options, options.arguments.file, experiment, plan, store});
    if (!options.quiet)
      context.err.line(
          fmt::format("nothing to train: the store has all {}", counted(plan.distinct, "trial")));
  }
  while (!plan.stages.empty()) {
    const Training training{context, options, options.arguments.file,     experiment,
                            plan,    store,   report ? &*report : nullptr};
    const Trained before = train_others(training);
    if (before.again) plan = make_plan(experiment, store);
    if (options.shuffle) shuffle(plan, *options.shuffle);
    const Trained trained = ends_run(before, options) ? before : train(training);
    if (trained.code != ExitCode::Done && trained.code != ExitCode::SomeFailed) {
      write_report();
      return trained.code;
    }
    code = std::max({code, before.code, trained.code});
    if (!trained.again || ends_run(before, options)) break;
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
  options->executor.add_to(*command);
  command->add_flag("--fail-fast", options->fail_fast,
                    "Stop at the first trial that fails or diverges");
  command->add_option("--shuffle", options->shuffle, "Run trials in a random order")
      ->type_name("SEED");
  command->add_flag("--dry-run", options->dry_run, "Show the plan and train nothing");
  command->add_flag("-q,--quiet", options->quiet, "No progress; failures are still told");
  command->add_flag("--report", options->report,
                    "Keep a page up to date meanwhile, named like the experiment (`report`)");
  command->add_option("--report-file", options->page, "The same, written there")->type_name("FILE");
  options->summary.add_selection_to(*command);
  options->summary.add_all_to(*command);
  context.on(command, [&context, options] { return run(context, *options); });
}

}  // namespace perturb
