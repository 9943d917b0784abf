#include <algorithm>
#include <cmath>
#include <filesystem>
#include <functional>
#include <map>
#include <set>
#include <unistd.h>
#include <utility>

#include <CLI/CLI.hpp>
#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "cli/commands.h"
#include "cli/cores.h"
#include "cli/engine_loader.h"
#include "cli/experiment_arguments.h"
#include "cli/plan_view.h"
#include "cli/stop_signals.h"
#include "cli/wording.h"
#include "perturb/core/random.h"
#include "perturb/execute/executor.h"
#include "perturb/plan/plan.h"
#include "perturb/report/table.h"

namespace perturb {

namespace {

namespace fs = std::filesystem;
using Json = nlohmann::json;

struct Options {
  ExperimentArguments arguments;
  std::size_t sample = 3;
  std::uint64_t seed = 0;
};

/// A folder for what the audit trains; gone with it.
class Scratch {
 public:
  Scratch() {
    std::string name = (fs::temp_directory_path() / "perturb-audit-XXXXXX").string();
    if (!::mkdtemp(name.data()))
      throw Error(ExitCode::Disk, "cannot make a folder in " + fs::temp_directory_path().string());
    path_ = name;
  }
  Scratch(const Scratch&) = delete;
  Scratch& operator=(const Scratch&) = delete;
  ~Scratch() {
    std::error_code ignored;
    fs::remove_all(path_, ignored);
  }
  const fs::path& path() const { return path_; }

 private:
  fs::path path_;
};

/// Something that came out otherwise than the store says.
struct Finding {
  std::size_t trial = 0;
  std::string what;
  std::string stored;
  std::string found;
};

std::vector<std::size_t> sample(const Plan& plan, const Options& options) {
  std::vector<std::size_t> cached;
  for (std::size_t number = 0; number < plan.trials.size(); ++number) {
    if (plan.trials[number].reason == Reason::Cached) cached.push_back(number);
  }
  std::vector<std::size_t> drawn;
  for (const std::int64_t place : Random(options.seed, "audit").permutation(cached.size())) {
    if (drawn.size() == options.sample) break;
    drawn.push_back(cached[static_cast<std::size_t>(place)]);
  }
  return drawn;
}

bool same_bits(double a, double b) {
  // The store has no NaN but null, and no negative zero.
  if (std::isnan(a) || std::isnan(b)) return std::isnan(a) && std::isnan(b);
  return a == b;
}

class Audit {
 public:
  /// `scratch`: the folder of what is trained.
  Audit(const Experiment& experiment, const Store& store, const fs::path& scratch)
      : experiment_(experiment), store_(store), scratch_(scratch) {}

  /// The trial from its first step, whatever is known of it.
  Assignment assignment(std::size_t number) const {
    Assignment whole = experiment_.assignment(number);
    for (const Step step : experiment_.saves(whole.trial))
      whole.saves.push_back({step, 0, whole.trial.state(step)});
    std::erase_if(whole.measurements, [&](Measurement& m) {
      if (!m.reference || m.reference->state == m.state) return false;
      const auto found = references_.find(m.reference->state);
      if (found == references_.end()) return true;
      m.reference->blob = found->second;
      return false;
    });
    for (auto& [step, reference] : whole.drawn) reference.blob = references_.at(reference.state);
    begin(whole, whole.trial);
    for (Measurement& m : whole.measurements) {
      if (!m.reference) continue;
      const MetricSpec& metric = experiment_.metrics()[m.metrics.front()];
      const auto other = experiment_.reference(metric, whole.trial.variation);
      m.reference->from = inherited(experiment_.trial(*other, 0));
    }
    return whole;
  }

  /// What the trial begins with, where that is another experiment's. It is not trained again: an
  /// audit of that experiment does so.
  std::optional<Ancestor> inherited(const Trial& trial) const {
    if (!trial.from) return std::nullopt;
    Ancestor from = experiment_.ancestor(*trial.from);
    from.blob = inherited(from.state);
    inherit(from.learnt_from);
    return from;
  }

  void inherit(TrainedNetworks& population) const {
    for (auto& network : population.networks) network.blob = inherited(network.state);
  }

  Digest inherited(const Digest& state) const {
    const auto known = store_.states({state}, {});
    const auto found = known.find(state);
    if (found == known.end() || !found->second.checkpoint)
      throw Error(
          ExitCode::Usage,
          "the store has no checkpoint any more of what the trials begin with or learn from",
          "`perturb run` trains it again");
    const Digest& blob = found->second.checkpoint->blob;
    if (!scratch_.size(blob)) scratch_.put(store_.blobs().get(blob));
    return blob;
  }

  void begin(Assignment& assignment, const Trial& trial) const {
    assignment.from = inherited(trial);
    if (assignment.population) inherit(*assignment.population);
  }

  /// The controls that the trials are compared with, each up to the last state that one is, from
  /// the first step as well.
  std::vector<Job> controls(const std::vector<std::size_t>& trials) const {
    std::map<std::size_t, std::set<Step>> wanted;
    for (const std::size_t number : trials) {
      const Trial trial = experiment_.trial(number);
      for (const Measurement& m : experiment_.measurements(trial)) {
        if (!m.reference) continue;
        const MetricSpec& metric = experiment_.metrics()[m.metrics.front()];
        const std::size_t variation = *experiment_.reference(metric, trial.variation);
        wanted[variation * (1 + experiment_.alternatives())].insert(m.reference->step);
      }
      for (const auto& [step, reference] : experiment_.assignment(number).drawn)
        wanted[*trial.toward * (1 + experiment_.alternatives())].insert(reference.step);
    }
    std::vector<Job> jobs;
    for (const auto& [number, steps] : wanted) {
      Job job{number, experiment_.assignment(number)};
      job.assignment.measurements.clear();
      for (const Step step : steps)
        job.assignment.saves.push_back({step, 0, job.assignment.trial.state(step)});
      job.assignment.end = *steps.rbegin();
      begin(job.assignment, job.assignment.trial);
      jobs.push_back(std::move(job));
    }
    return jobs;
  }

  void keep_references(const Record& record) {
    for (const Saved& saved : record.saved) references_.emplace(saved.state, saved.blob);
  }

  /// Compares with everything that the store has of it.
  void take(std::size_t number, const Record& record) {
    compare(number, record);
    if (record.outcome == Outcome::Done || record.outcome == Outcome::Interrupted) return;
    findings_.push_back({number, "outcome", "done",
                         fmt::format("{} at step {}", name_of(record.outcome), record.step)});
  }

  const std::vector<Finding>& findings() const { return findings_; }
  std::size_t values() const { return values_; }
  std::size_t checkpoints() const { return checkpoints_; }

 private:
  void compare(std::size_t number, const Record& record) {
    std::map<std::pair<std::int64_t, std::string>, double> stored;
    store_.query("select step, metric, value from results where experiment = ? and number = ?",
                 {experiment_.name(), static_cast<std::int64_t>(number)},
                 {.columns = [](const auto&) {},
                  .row =
                      [&](const std::vector<Cell>& row) {
                        const auto* value = std::get_if<double>(&row[2]);
                        stored[{std::get<std::int64_t>(row[0]), std::get<std::string>(row[1])}] =
                            value ? *value : std::nan("");
                        return true;
                      }});
    std::map<Digest, std::string> labels;
    for (const MetricSpec& metric : experiment_.metrics())
      labels.emplace(metric.definition(), metric.label);
    for (const Measured& measured : record.measured) {
      const auto& label = labels.at(measured.metric);
      const auto found = stored.find({measured.step, label});
      if (found == stored.end()) continue;
      ++values_;
      if (same_bits(found->second, measured.value)) continue;
      findings_.push_back({number, fmt::format("{} at step {}", label, measured.step),
                           fmt::format("{}", found->second), fmt::format("{}", measured.value)});
    }
    for (const Saved& saved : record.saved) {
      const auto known = store_.states({saved.state}, {});
      if (known.empty() || !known.begin()->second.checkpoint) continue;
      ++checkpoints_;
      const Digest& blob = known.begin()->second.checkpoint->blob;
      if (blob == saved.blob) continue;
      findings_.push_back({number, fmt::format("checkpoint at step {}", saved.step), blob.brief(),
                           saved.blob.brief()});
    }
  }

  const Experiment& experiment_;
  const Store& store_;
  Blobs scratch_;
  SavedStates references_;
  std::vector<Finding> findings_;
  std::size_t values_ = 0;
  std::size_t checkpoints_ = 0;
};

ExitCode show(Context& context, const Experiment& experiment, const Audit& audit,
              std::size_t trials) {
  if (context.json) {
    Json all = {{"trials", trials},
                {"values", audit.values()},
                {"checkpoints", audit.checkpoints()},
                {"findings", Json::array()}};
    for (const auto& [number, what, stored, found] : audit.findings())
      all["findings"].push_back(
          {{"number", number}, {"what", what}, {"stored", stored}, {"found", found}});
    context.out.line(all.dump(2, ' ', false, Json::error_handler_t::replace));
  } else {
    if (!audit.findings().empty()) {
      TextTable table(
          {{.title = "trial", .flexible = true}, {"what"}, {"in the store"}, {"trained again"}});
      for (const auto& [number, what, stored, found] : audit.findings())
        table.add({trial_name(experiment, number), what, stored, found}, Ink::Yellow);
      context.out.write(table.text({.color = context.out.color(), .width = context.out.width()}));
    }
    context.out.line(
        fmt::format("{} trained again: {} and {} compared, {}", counted(trials, "trial"),
                    counted(audit.values(), "value"), counted(audit.checkpoints(), "checkpoint"),
                    audit.findings().empty() ? "all the same bits"
                                             : fmt::format("{} differ", audit.findings().size())));
  }
  if (audit.findings().empty()) return ExitCode::Done;
  context.err.line(
      "  another processor or LibTorch may round otherwise (`perturb status` shows who ran); if "
      "neither has\n  changed, the store was: move it away and run again");
  return ExitCode::Found;
}

ExitCode audit(Context& context, const Options& options) {
  const Loaded loaded = options.arguments.load(context);
  const Experiment& experiment = loaded.experiment;
  if (!loaded.missing_data->empty())
    throw Error(ExitCode::Usage, loaded.missing_data->front(),
                "`perturb data` lists all data sets");
  const auto folder = context.store_folder(options.arguments.file);
  if (!Store::exists(folder))
    throw Error(ExitCode::Usage, "there is no store in \"" + folder.string() + "\"",
                "`perturb run` makes one; there is nothing to audit before");
  const Store store = Store::open(folder, Store::Access::Read);
  const Plan plan = make_plan(experiment, store);
  const auto trials = sample(plan, options);
  if (trials.empty())
    throw Error(ExitCode::Usage, "the store has no trial of the experiment that is done",
                "`perturb run` first");

  const Scratch scratch;
  EngineOptions engine_with = engine_options(context, options.arguments.file);
  engine_with.store = scratch.path();
  engine_with.threads = physical_cores();
  const auto engine = load_engine(engine_with);
  const StopSignals signals;
  Audit audit(experiment, store, scratch.path());
  const auto executor =
      pool([&](const Assignment& stage, Progress& progress,
               const Report& report) { return engine->train(stage, progress, report); },
           std::min(trials.size(), physical_cores()));
  // How many of so many jobs have come to their ends; fewer after a signal.
  const auto carry_out = [&](std::size_t jobs, const std::function<Job(std::size_t)>& job,
                             const std::function<void(const Event&)>& take) {
    std::size_t next = 0;
    std::size_t over = 0;
    bool stopped = false;
    while (over < (stopped ? next : jobs)) {
      if (signals.asked() && !std::exchange(stopped, true)) executor->stop();
      for (; !stopped && next < jobs && executor->room() > 0; ++next) executor->start(job(next));
      Event event;
      if (!executor->wait(100, event)) continue;
      take(event);
      if (event.over) ++over;
    }
    return over;
  };
  const std::vector<Job> controls = audit.controls(trials);
  if (!controls.empty())
    context.err.line(fmt::format("audit: first {} that trials are compared with",
                                 counted(controls.size(), "control")));
  carry_out(
      controls.size(), [&](std::size_t i) { return controls[i]; },
      [&](const Event& event) { audit.keep_references(event.record); });
  const std::size_t checked = carry_out(
      trials.size(),
      [&](std::size_t i) {
        context.err.line(fmt::format("audit {}/{}  {}", i + 1, trials.size(),
                                     trial_name(experiment, trials[i])));
        return Job{trials[i], audit.assignment(trials[i])};
      },
      [&](const Event& event) { audit.take(event.number, event.record); });
  const ExitCode code = show(context, experiment, audit, checked);
  return signals.asked() ? signals.code() : code;
}

}  // namespace

void add_audit(CLI::App& app, Context& context) {
  CLI::App* command =
      app.add_subcommand("audit", "Train some cached trials again and compare every bit");
  command->footer(
      "Metrics and checkpoints of trials that are drawn at random are computed anew, from the\n"
      "first step and without the cache. The store is only read. Ends with 6 if anything "
      "differs.\n\n"
      "Example:\n  perturb audit momentum.toml --sample 5");
  auto options = std::make_shared<Options>();
  options->arguments.add_to(*command);
  command->add_option("--sample", options->sample, "How many trials (3)")
      ->check(CLI::Range(1, 1'000'000))
      ->type_name("N");
  command->add_option("--seed", options->seed, "Which ones are drawn")->type_name("SEED");
  context.on(command, [&context, options] { return audit(context, *options); });
}

}  // namespace perturb
