#include "cli/training.h"

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <optional>
#include <utility>
#include <vector>

#include <fmt/format.h>

#include "cli/engine_loader.h"
#include "cli/live_report.h"
#include "cli/plan_view.h"
#include "cli/recorded_runs.h"
#include "cli/report_writer.h"
#include "cli/run_display.h"
#include "cli/stop_signals.h"
#include "cli/wording.h"
#include "perturb/execute/executor.h"
#include "perturb/execute/run.h"
#include "perturb/execute/slurm.h"
#include "perturb/plan/ahead.h"
#include "perturb/report/table.h"

namespace perturb {

namespace {

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

}  // namespace

void warn(Context& context, const std::string& text) {
  context.err.line(inked("warning: ", Ink::Yellow, context.err.color()) + text);
}

bool ends_run(const Trained& trained, const TrainingOptions& options) {
  if (trained.code == ExitCode::Done) return false;
  return trained.code != ExitCode::SomeFailed || options.fail_fast;
}

Trained train(const Training& training) {
  Context& context = training.context;
  const TrainingOptions& options = training.options;
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

  RecordedRuns runs(store, context, experiment);
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

void adopt_alone(const Training& training) {
  if (training.plan.adoptions.empty()) return;
  RecordedRuns runs(training.store, training.context, training.experiment);
  adopt(training, runs.with("{}"));
  runs.end("done");
}

}  // namespace perturb
