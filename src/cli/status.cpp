#include <algorithm>
#include <map>

#include <CLI/CLI.hpp>
#include <fmt/format.h>
#include <fmt/ranges.h>
#include <nlohmann/json.hpp>

#include "cli/commands.h"
#include "cli/experiment_arguments.h"
#include "cli/first.h"
#include "cli/watch.h"
#include "cli/wording.h"
#include "perturb/execute/slurm.h"
#include "perturb/plan/plan.h"
#include "perturb/report/table.h"

namespace perturb {

namespace {

constexpr int kLastRuns = 10;

std::string text_of(const Cell& cell) {
  if (const auto* integer = std::get_if<std::int64_t>(&cell)) return std::to_string(*integer);
  if (const auto* number = std::get_if<double>(&cell)) return fmt::format("{}", *number);
  if (const auto* text = std::get_if<std::string>(&cell)) return *text;
  return "";
}

nlohmann::json json_of(const Table& table) {
  nlohmann::json rows = nlohmann::json::array();
  for (const auto& row : table.rows) {
    nlohmann::json object;
    for (std::size_t i = 0; i < row.size(); ++i) {
      const auto* integer = std::get_if<std::int64_t>(&row[i]);
      object[table.columns[i]] =
          integer ? nlohmann::json(*integer) : nlohmann::json(text_of(row[i]));
    }
    rows.push_back(std::move(object));
  }
  return rows;
}

std::string text_of(const Table& table, const Output& out) {
  std::vector<TextTable::Column> columns;
  for (const std::string& name : table.columns)
    columns.push_back({.title = name, .flexible = name == "command"});
  TextTable text(columns);
  for (const auto& row : table.rows) {
    std::vector<std::string> cells;
    for (const Cell& cell : row) cells.push_back(text_of(cell));
    text.add(std::move(cells));
  }
  return text.text({.color = out.color(), .width = out.width()});
}

Table experiments(const Store& store) {
  return store.query(
      "SELECT experiment, count(*) AS trials, "
      "sum(outcome = 'done') AS done, sum(outcome = 'diverged') AS diverged, "
      "sum(outcome NOT IN ('done', 'diverged', 'interrupted')) AS failed, "
      "sum(outcome IS NULL OR outcome = 'interrupted') AS missing "
      "FROM trials GROUP BY experiment ORDER BY experiment");
}

/// The latest runs, of one experiment or of all.
Table runs(const Store& store, const std::string& experiment) {
  return store.query(
      fmt::format(
          "SELECT id AS run, experiment, started, coalesce(outcome, 'under way') AS outcome, "
          "host, pid, version, command FROM runs WHERE ?1 = '' OR experiment = ?1 "
          "ORDER BY id DESC LIMIT {}",
          kLastRuns),
      {experiment});
}

Table failures(const Store& store, const std::string& experiment) {
  return store.query(
      "SELECT number, intervention, outcome, step, message FROM trials "
      "WHERE experiment = ?1 AND outcome NOT IN ('done', 'interrupted') ORDER BY number",
      {experiment});
}

std::string states_text(const Plan& plan) {
  std::map<Reason, std::int64_t> counts;
  for (const Planned& planned : plan.trials) ++counts[planned.reason];
  std::string text;
  for (const auto& [reason, n] : counts)
    text += fmt::format("{}{} {}", text.empty() ? "" : ", ", grouped(n), name_of(reason));
  return text;
}

/// Jobs of the store, beside the states of its trials.
std::string queue_text(const SlurmQueue& queue) {
  if (queue.jobs.empty()) return {};
  std::string text = fmt::format("on Slurm: {} of {} over; tasks: ", grouped(queue.over),
                                 counted(queue.stages, "stage"));
  if (queue.trouble.empty())
    text += fmt::format("{} pending, {} running, {} ended", grouped(queue.pending),
                        grouped(queue.running), grouped(queue.ended));
  else
    text += "not known (" + printable(queue.trouble) + ")";
  return text + printable(fmt::format(" (jobs {})", fmt::join(queue.jobs, ", ")));
}

nlohmann::json json_of(const SlurmQueue& queue) {
  return {{"jobs", queue.jobs},        {"pending", queue.pending}, {"running", queue.running},
          {"ended", queue.ended},      {"unknown", queue.unknown}, {"stages", queue.stages},
          {"stages_over", queue.over}, {"trouble", queue.trouble}};
}

/// A line for each experiment that comes first: what is wanted of it, and whether it is there.
std::string first_text(const std::vector<First>& all) {
  std::string text;
  for (const First& first : all) {
    text += fmt::format("  first {}: {}: {} in the store, {} to train",
                        printable(first.experiment->name()),
                        counted(first.plan.distinct + first.diverged, "trial"),
                        grouped(static_cast<std::int64_t>(first.plan.cached)),
                        grouped(std::ssize(first.plan.order)));
    if (first.diverged > 0)
      text += fmt::format(", {} diverged", grouped(static_cast<std::int64_t>(first.diverged)));
    text += "\n";
  }
  return text;
}

nlohmann::json json_of(const std::vector<First>& all) {
  nlohmann::json json = nlohmann::json::array();
  for (const First& first : all)
    json.push_back({{"experiment", first.experiment->name()},
                    {"trials", first.plan.distinct + first.diverged},
                    {"cached", first.plan.cached},
                    {"to_train", first.plan.order.size()},
                    {"diverged", first.diverged}});
  return json;
}

ExitCode of_experiment(Context& context, const ExperimentArguments& arguments) {
  const Loaded loaded = arguments.load(context);
  const Experiment& experiment = loaded.experiment;
  const Store store = store_to_read(context.store_folder(arguments.file));
  const Plan plan = make_plan(experiment, store);
  const std::vector<First> first = first_of_all(experiment, store);
  const Table latest = runs(store, experiment.name());
  const Table failed = failures(store, experiment.name());
  const SlurmQueue queue = slurm_queue(context.store_folder(arguments.file));
  for (const std::string& missing : *loaded.missing_data)
    context.err.line("note: " + printable(missing));
  if (context.json) {
    nlohmann::json states;
    for (const Planned& planned : plan.trials) {
      auto& count = states[std::string(name_of(planned.reason))];
      count = count.is_null() ? 1 : count.get<int>() + 1;
    }
    const nlohmann::json all = {
        {"name", experiment.name()}, {"trials", experiment.trials()}, {"states", states},
        {"first", json_of(first)},   {"to_train", plan.order.size()}, {"failures", json_of(failed)},
        {"slurm", json_of(queue)},   {"runs", json_of(latest)}};
    context.out.line(all.dump(2, ' ', false, nlohmann::json::error_handler_t::replace));
    return ExitCode::Done;
  }
  context.out.line(fmt::format("{}: {}: {}", printable(experiment.name()),
                               counted(experiment.trials(), "trial"), states_text(plan)));
  context.out.write(first_text(first));
  if (const std::string text = queue_text(queue); !text.empty()) context.out.line(text);
  if (!failed.rows.empty()) context.out.write("\n" + text_of(failed, context.out));
  if (!latest.rows.empty()) context.out.write("\n" + text_of(latest, context.out));
  if (!plan.order.empty())
    context.out.line(fmt::format("\n`perturb run {}` trains the {} that are missing",
                                 printable(arguments.file.string()),
                                 grouped(std::ssize(plan.order))));
  return ExitCode::Done;
}

ExitCode of_store(Context& context) {
  const auto folder = context.store_folder("");
  if (!Store::exists(folder))
    throw Error(ExitCode::Usage, "there is no store in \"" + folder.string() + "\"",
                "name an experiment file, or the store by --store");
  const Store store = Store::open(folder, Store::Access::Read);
  const Table all = experiments(store);
  const Table latest = runs(store, "");
  if (context.json) {
    const nlohmann::json json = {
        {"store", folder.string()}, {"experiments", json_of(all)}, {"runs", json_of(latest)}};
    context.out.line(json.dump(2, ' ', false, nlohmann::json::error_handler_t::replace));
    return ExitCode::Done;
  }
  context.out.line("store " + printable(folder.string()) + "\n");
  context.out.write(text_of(all, context.out));
  if (!latest.rows.empty()) context.out.write("\n" + text_of(latest, context.out));
  return ExitCode::Done;
}

ExitCode watched(Context& context, const ExperimentArguments& arguments) {
  std::string name;
  if (!arguments.file.empty()) name = arguments.load(context).experiment.name();
  return watch(context, context.store_folder(arguments.file), name);
}

}  // namespace

void add_status(CLI::App& app, Context& context) {
  CLI::App* command =
      app.add_subcommand("status", "Show how an experiment's trials stand, or all of a store");
  command->footer(
      "States are those of `perturb plan`. An experiment that goes on from others has a line for\n"
      "what is needed of each. Without FILE: every experiment of the store.\n"
      "--watch shows the latest run as it goes: what is under way with its loss, what ended, the "
      "time\n"
      "that is left. On a terminal it redraws each second; into a pipe it writes a line a trial "
      "that\n"
      "ended, and with --json an object a change. It ends with the run.\n\n"
      "Examples:\n"
      "  perturb status momentum.toml\n"
      "  perturb status momentum.toml --watch");
  auto arguments = std::make_shared<ExperimentArguments>();
  arguments->add_to(*command);
  command->get_option("FILE")->required(false);
  const auto live = std::make_shared<bool>(false);
  command->add_flag("--watch", *live, "Show the run that goes on until it is over");
  context.on(command, [&context, arguments, live] {
    if (*live) return watched(context, *arguments);
    return arguments->file.empty() ? of_store(context) : of_experiment(context, *arguments);
  });
}

}  // namespace perturb
