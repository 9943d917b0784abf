#include "cli/plan_view.h"

#include <algorithm>
#include <map>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "cli/first.h"
#include "cli/wording.h"
#include "perturb/plan/why.h"
#include "perturb/report/table.h"

namespace perturb {

namespace {

constexpr std::size_t kFirstRows = 30;

std::map<Reason, std::size_t> counts(const Plan& plan) {
  std::map<Reason, std::size_t> counts;
  for (const Planned& planned : plan.trials) {
    if (planned.first) ++counts[planned.reason];
  }
  return counts;
}

std::string state_of(const Planned& planned) {
  if (!planned.first) return "same";
  std::string state(name_of(planned.reason));
  if (runs(planned.reason) && planned.from > 0) state += fmt::format(" from {}", planned.from);
  return state;
}

std::vector<std::string> varied_fields(const Experiment& experiment, const Condition& condition) {
  std::vector<std::string> fields;
  for (const std::string& factor : experiment.factors()) {
    if (condition.has(factor)) fields.push_back(factor);
  }
  return fields;
}

std::string matrix(const Experiment& experiment, const Plan& plan, const PlanViewOptions& options,
                   const Output& out) {
  const std::size_t shown =
      options.all ? plan.trials.size() : std::min(kFirstRows, plan.trials.size());
  const std::vector<std::string> fields = varied_fields(experiment, experiment.trial(0).condition);
  std::vector<TextTable::Column> columns = {{"#", Align::Right}, {"state"}};
  for (const std::string& field : fields) columns.push_back({field, Align::Right});
  columns.push_back({.title = "intervention", .flexible = true});
  columns.push_back({"steps", Align::Right});
  columns.push_back({"trial"});
  TextTable table(columns);
  for (std::size_t number = 0; number < shown; ++number) {
    const Planned& planned = plan.trials[number];
    const Trial trial = experiment.trial(number);
    std::vector<std::string> row = {std::to_string(number), state_of(planned)};
    for (const std::string& field : fields)
      row.push_back(trial.condition.has(field) ? experiment.shown(trial.condition.at(field)) : "-");
    row.push_back(experiment.label(trial.alternative));
    row.push_back(grouped(planned.end));
    row.push_back(planned.trial.brief());
    table.add(std::move(row), runs(planned.reason) && planned.first ? Ink::Plain : Ink::Faint);
  }
  std::string text = table.text({.color = out.color(), .width = out.width()});
  if (shown < plan.trials.size())
    text += fmt::format("and {} more; --all shows them\n",
                        grouped(static_cast<std::int64_t>(plan.trials.size() - shown)));
  return text;
}

/// `seconds`: of everything, `first` of what comes first, which is part of it.
std::string time_text(const Plan& plan, const std::optional<double>& seconds,
                      const std::optional<double>& first, std::size_t workers) {
  if (plan.order.empty()) return "nothing to train";
  if (!seconds) return "unknown: the store has timed nothing like it yet";
  std::string text =
      fmt::format("about {} with {}", duration(*seconds), counted(workers, "worker"));
  if (first && *first > 0) text += fmt::format(", {} of it for what comes first", duration(*first));
  return text;
}

std::string head(const Experiment& experiment, const Plan& plan) {
  std::string text = fmt::format("{}: {} = {} x (control + {})\n", printable(experiment.name()),
                                 counted(experiment.trials(), "trial"),
                                 counted(experiment.variations(), "variation"),
                                 counted(experiment.alternatives(), "intervention"));
  std::string states;
  for (const auto& [reason, n] : counts(plan))
    states += fmt::format("{}{} {}", states.empty() ? "" : ", ",
                          grouped(static_cast<std::int64_t>(n)), name_of(reason));
  text += fmt::format("  trials  {}; {} to train", states, grouped(std::ssize(plan.order)));
  if (plan.distinct < plan.trials.size())
    text += fmt::format(" ({} are the same as another)", plan.trials.size() - plan.distinct);
  return text +
         fmt::format("\n  steps   {} asked, {} when what trials share is trained once, {} to run\n",
                     grouped(plan.steps_asked), grouped(plan.steps_shared),
                     grouped(plan.steps_to_run));
}

std::string first_text(const std::vector<First>& all) {
  std::string text;
  for (const First& first : all)
    text += fmt::format("  first   {} of {}: {} in the store, {} to train, {} steps to run\n",
                        counted(first.plan.distinct, "trial"), printable(first.experiment->name()),
                        grouped(static_cast<std::int64_t>(first.plan.cached)),
                        grouped(std::ssize(first.plan.order)), grouped(first.plan.steps_to_run));
  return text;
}

nlohmann::json first_json(const std::vector<First>& all, const Store& store, std::size_t workers) {
  nlohmann::json json = nlohmann::json::array();
  for (const First& first : all) {
    json.push_back({{"experiment", first.experiment->name()},
                    {"trials", first.plan.distinct},
                    {"cached", first.plan.cached},
                    {"to_train", first.plan.order.size()},
                    {"steps_to_run", first.plan.steps_to_run},
                    {"seconds", nullptr}});
    if (const auto seconds = estimate(first.plan, store, workers))
      json.back()["seconds"] = *seconds;
  }
  return json;
}

nlohmann::json trials_json(const Experiment& experiment, const Plan& plan) {
  nlohmann::json trials = nlohmann::json::array();
  for (std::size_t number = 0; number < plan.trials.size(); ++number) {
    const Planned& planned = plan.trials[number];
    const Trial trial = experiment.trial(number);
    trials.push_back({{"number", number},
                      {"trial", planned.trial.hex()},
                      {"variation", trial.variation},
                      {"intervention", experiment.label(trial.alternative)},
                      {"state", planned.first ? name_of(planned.reason) : "same"},
                      {"from", planned.from},
                      {"runs", planned.first && runs(planned.reason)},
                      {"steps", planned.end}});
  }
  return trials;
}

}  // namespace

std::string variation_text(const Experiment& experiment, const Trial& trial) {
  std::string text;
  for (const std::string& factor : experiment.factors()) {
    if (!trial.condition.has(factor)) continue;
    text += fmt::format("{}{}={}", text.empty() ? "" : " ", factor,
                        experiment.shown(trial.condition.at(factor)));
  }
  return text;
}

std::string trial_name(const Experiment& experiment, std::size_t number) {
  const Trial trial = experiment.trial(number);
  const std::string variation = variation_text(experiment, trial);
  return printable(fmt::format("#{} {}{}{}", number, experiment.label(trial.alternative),
                               variation.empty() ? "" : " | ", variation));
}

void show_plan(Context& context, const ExperimentArguments& arguments,
               const PlanViewOptions& options) {
  const Loaded loaded = arguments.load(context);
  const Experiment& experiment = loaded.experiment;
  const Store store = store_to_read(context.store_folder(arguments.file));
  const Plan plan = make_plan(experiment, store);
  const std::string blocked = blocked_reuse(experiment, plan, store);
  const std::vector<First> first = first_of(experiment, plan, store);
  const auto before = estimate(first, store, options.workers);
  auto seconds = estimate(plan, store, options.workers);
  if (seconds && before)
    *seconds += *before;
  else
    seconds.reset();

  if (context.json) {
    nlohmann::json all = {{"name", experiment.name()},
                          {"trials", experiment.trials()},
                          {"controls", experiment.variations()},
                          {"variations", experiment.variations()},
                          {"interventions", experiment.alternatives()},
                          {"distinct", plan.distinct},
                          {"cached", plan.cached},
                          {"new", plan.order.size()},
                          {"steps_asked", plan.steps_asked},
                          {"steps_shared", plan.steps_shared},
                          {"steps_to_run", plan.steps_to_run},
                          {"stages", plan.stages.size()},
                          {"workers", options.workers},
                          {"seconds", nullptr},
                          {"blocked_reuse", blocked},
                          {"first", first_json(first, store, options.workers)},
                          {"missing_data", *loaded.missing_data}};
    if (seconds) all["seconds"] = *seconds;
    for (const auto& [reason, n] : counts(plan)) all["states"][std::string(name_of(reason))] = n;
    if (options.all) all["matrix"] = trials_json(experiment, plan);
    context.out.line(all.dump(2, ' ', false, nlohmann::json::error_handler_t::replace));
  } else {
    context.out.write(head(experiment, plan) + first_text(first) + "  time    " +
                      time_text(plan, seconds, before, options.workers) + "\n");
    if (!blocked.empty()) {
      for (const std::string& line : wrapped(printable(blocked), 76)) context.out.line("  " + line);
    }
    context.out.line("");
    context.out.write(matrix(experiment, plan, options, context.out));
  }
  for (const std::string& missing : *loaded.missing_data)
    context.err.line(
        "note: what is cached and how many steps there are cannot be told without the data: " +
        printable(missing));
  for (const Diagnostic& reason : experiment.unsupported()) context.err.write(render(reason));
}

}  // namespace perturb
