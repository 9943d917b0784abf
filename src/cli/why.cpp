#include "perturb/plan/why.h"

#include <algorithm>
#include <filesystem>
#include <optional>

#include <CLI/CLI.hpp>
#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "cli/commands.h"
#include "cli/experiment_arguments.h"
#include "cli/find_trial.h"
#include "cli/plan_view.h"
#include "cli/wording.h"
#include "perturb/report/table.h"

namespace perturb {

namespace {

using Json = nlohmann::json;

constexpr std::size_t kFirst = 10;
constexpr std::size_t kMostDifferences = 8;
constexpr std::size_t kWidestCell = 200;  // an intervention in JSON

struct Options {
  ExperimentArguments arguments;
  std::optional<std::size_t> trial;
  bool all = false;
};

std::string name_of(const StoredTrial& trial) {
  std::string name = trial.trial.brief();
  if (!trial.experiment.empty()) name += fmt::format(" ({}:{})", trial.experiment, trial.number);
  return printable(name);
}

std::string shown(const std::string& text) { return text.empty() ? "-" : text; }

/// "  lr  0.1  0.2", one line a difference.
std::string table_of(const std::vector<Difference>& differences, const Output& out,
                     const std::string& here, const std::string& there) {
  TextTable table({{""},
                   {"differs in"},
                   {.title = here, .flexible = true},
                   {.title = there, .flexible = true}});
  const auto shown_now = std::min(differences.size(), kMostDifferences);
  for (std::size_t i = 0; i < shown_now; ++i)
    table.add({" ", differences[i].name, shown(differences[i].here), shown(differences[i].there)});
  std::string text =
      table.text({.color = out.color(), .widest_cell = kWidestCell, .width = out.width()});
  if (differences.size() > shown_now)
    text += fmt::format("  and in {} more\n", differences.size() - shown_now);
  return text;
}

Json json_of(const std::vector<Difference>& differences) {
  Json all = Json::array();
  for (const auto& [name, here, there] : differences)
    all.push_back({{"name", name}, {"here", here}, {"there", there}});
  return all;
}

/// The trials that are explained: the one asked for, or those that run, or all.
std::vector<std::size_t> chosen(const Options& options, const Plan& plan) {
  if (options.trial) {
    if (*options.trial >= plan.trials.size()) {
      throw Error(ExitCode::Usage,
                  fmt::format("there is no trial {}: the experiment has {}", *options.trial,
                              counted(plan.trials.size(), "trial")),
                  "they are counted from 0, as `perturb plan` shows them");
    }
    return {*options.trial};
  }
  std::vector<std::size_t> all;
  for (std::size_t number = 0; number < plan.trials.size(); ++number) {
    if (options.all || (runs(plan.trials[number].reason) && plan.trials[number].first))
      all.push_back(number);
  }
  if (!options.all && all.size() > kFirst) all.resize(kFirst);
  return all;
}

ExitCode of_experiment(Context& context, const Options& options) {
  const Loaded loaded = options.arguments.load(context);
  const Experiment& experiment = loaded.experiment;
  const Store store = store_to_read(context.store_folder(options.arguments.file));
  const Plan plan = make_plan(experiment, store);
  const auto trials = chosen(options, plan);
  const auto explanations = explain(experiment, plan, store, trials);
  for (const std::string& missing : *loaded.missing_data)
    context.err.line("note: without the data it is not known what is cached: " +
                     printable(missing));
  if (context.json) {
    Json all = Json::array();
    for (const Explanation& one : explanations) {
      const Planned& planned = plan.trials[one.number];
      Json entry = {{"number", one.number},
                    {"trial", planned.trial.hex()},
                    {"state", perturb::name_of(planned.reason)},
                    {"from", planned.from},
                    {"because", one.because},
                    {"nearest", nullptr},
                    {"differences", json_of(one.differences)},
                    {"advice", one.advice}};
      if (one.nearest) entry["nearest"] = one.nearest->trial.hex();
      all.push_back(std::move(entry));
    }
    context.out.line(all.dump(2, ' ', false, Json::error_handler_t::replace));
    return ExitCode::Done;
  }
  for (const Explanation& one : explanations) {
    context.out.line(trial_name(experiment, one.number));
    context.out.line(fmt::format("  {}: {}", perturb::name_of(plan.trials[one.number].reason),
                                 printable(one.because)));
    if (!one.nearest) continue;
    context.out.line(fmt::format("  nearest in the store: {}, {} at step {}", name_of(*one.nearest),
                                 perturb::name_of(one.nearest->outcome), one.nearest->step));
    context.out.write(table_of(one.differences, context.out, "here", "there"));
    if (!one.advice.empty()) context.out.line("  " + printable(one.advice));
  }
  if (explanations.empty())
    context.out.line(fmt::format("nothing to train: the store has all {}; --all says why",
                                 counted(plan.distinct, "trial")));
  else if (!options.all && !options.trial && plan.order.size() > trials.size())
    context.out.line(fmt::format("and {} more to train; --all shows them, --trial N one",
                                 plan.order.size() - trials.size()));
  return ExitCode::Done;
}

ExitCode of_trial(Context& context, const std::string& text) {
  const Store store = Store::open(context.store_folder(""), Store::Access::Read);
  const FoundTrial found = find_trial(store, text);
  std::optional<StoredTrial> asked;
  store.each_trial([&](const StoredTrial& one) {
    if (one.trial == found.trial) asked = one;
  });
  if (!asked) {
    context.out.line(fmt::format("{}:{} was declared, but has not been carried out yet",
                                 printable(found.experiment), found.number));
    return ExitCode::Done;
  }
  std::optional<StoredTrial> nearest;
  std::vector<Difference> least;
  store.each_trial([&](const StoredTrial& other) {
    if (other.trial == asked->trial) return;
    auto different = differences(makeup(*asked), makeup(other));
    if (nearest && different.size() >= least.size()) return;
    nearest = other;
    least = std::move(different);
  });
  if (context.json) {
    Json all = {{"trial", asked->trial.hex()}, {"outcome", perturb::name_of(asked->outcome)},
                {"step", asked->step},         {"made_of", makeup(*asked)},
                {"nearest", nullptr},          {"differences", json_of(least)}};
    if (nearest) all["nearest"] = nearest->trial.hex();
    context.out.line(all.dump(2, ' ', false, Json::error_handler_t::replace));
    return ExitCode::Done;
  }
  context.out.line(fmt::format("{}: {} at step {}; its id is made of", name_of(*asked),
                               perturb::name_of(asked->outcome), asked->step));
  TextTable table({{""}, {""}, {.title = "", .flexible = true}});
  for (const auto& [name, value] : makeup(*asked)) table.add({" ", name, value});
  context.out.write(table.text(
      {.color = context.out.color(), .widest_cell = kWidestCell, .width = context.out.width()}));
  if (nearest) {
    context.out.line(fmt::format("nearest in the store: {}", name_of(*nearest)));
    context.out.write(table_of(least, context.out, "here", "there"));
  }
  return ExitCode::Done;
}

}  // namespace

void add_why(CLI::App& app, Context& context) {
  CLI::App* command =
      app.add_subcommand("why", "Say why trials are cached, resumable or new, field by field");
  command->footer(
      "FILE may also be a trial of the store: the first digits of its id, or EXPERIMENT:NUMBER.\n"
      "Without --trial and --all: the first trials that would be trained.\n\n"
      "Examples:\n"
      "  perturb why momentum.toml\n"
      "  perturb why momentum.toml optimizer.lr=0.1 --trial 3\n"
      "  perturb why 1a2b3c");
  auto options = std::make_shared<Options>();
  options->arguments.add_to(*command);
  command->add_option("--trial", options->trial, "The trial of that number")->type_name("N");
  command->add_flag("--all", options->all, "Every trial, the cached ones, too");
  context.on(command, [&context, options] {
    const auto& file = options->arguments.file;
    if (may_name_trial(file.string()) && !std::filesystem::exists(file))
      return of_trial(context, file.string());
    return of_experiment(context, *options);
  });
}

}  // namespace perturb
