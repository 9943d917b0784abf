#include <cstddef>
#include <vector>

#include <CLI/CLI.hpp>
#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "cli/commands.h"
#include "cli/experiment_arguments.h"
#include "cli/wording.h"
#include "perturb/report/metric_group.h"
#include "perturb/report/table.h"

namespace perturb {

namespace {

std::string every_text(const Every& every) {
  switch (every.kind) {
    case Every::Kind::Never:
      return "never";
    case Every::Kind::Epoch:
      return every.n == 1 ? "every epoch" : fmt::format("every {} epochs", every.n);
    case Every::Kind::Steps:
      return every.n == 1 ? "every step" : fmt::format("every {} steps", every.n);
    case Every::Kind::Log:
      return fmt::format("at steps 1, {0}, {0}^2, ...", every.n);
    case Every::Kind::Listed:
      return "at " + counted(every.steps.size(), "step");
    case Every::Kind::End:
      return "at the end";
  }
  return {};
}

/// A line a metric.
std::string metrics_text(const std::vector<MetricSpec>& metrics) {
  std::string all;
  for (const MetricGroup& group : metric_groups(metrics)) {
    const std::string more =
        group.is_picture() ? fmt::format(" and {} more like it", group.count - 1) : "";
    const std::size_t shown = group.is_picture() ? 1 : group.count;
    for (std::size_t i = group.first; i < group.first + shown; ++i)
      all += fmt::format("  metric: {}{}, {}\n", printable(metrics[i].label), more,
                         every_text(metrics[i].every));
  }
  return all;
}

std::string text(const Experiment& experiment, const ExperimentArguments& arguments,
                 const std::vector<LoadedPlugin>& plugins) {
  std::string all = fmt::format("{}: the file is right\n", printable(arguments.file.string()));
  if (!experiment.description().empty()) all += "  " + printable(experiment.description()) + "\n";
  all += fmt::format("  {} = {} x (control + {})\n", counted(experiment.trials(), "trial"),
                     counted(experiment.variations(), "variation"),
                     counted(experiment.alternatives(), "intervention"));
  if (!experiment.factors().empty()) {
    all += "  factors: " + printable(listed(experiment.factors())) + "\n";
  }
  for (const LoadedPlugin& loaded : plugins)
    all += fmt::format("  plugin: {}, sha256 {}\n", printable(loaded.file.path.string()),
                       loaded.file.digest.brief());
  return all + metrics_text(experiment.metrics());
}

std::string json(const Loaded& loaded, const std::vector<LoadedPlugin>& loaded_plugins) {
  const Experiment& experiment = loaded.experiment;
  nlohmann::json metrics = nlohmann::json::array();
  for (const MetricSpec& metric : experiment.metrics())
    metrics.push_back({{"label", metric.label}, {"every", every_text(metric.every)}});
  nlohmann::json warnings = nlohmann::json::array();
  for (const Diagnostic& warning : experiment.warnings()) warnings.push_back(warning.message);
  nlohmann::json unsupported = nlohmann::json::array();
  for (const Diagnostic& reason : experiment.unsupported()) unsupported.push_back(reason.message);
  nlohmann::json plugins = nlohmann::json::array();
  for (const LoadedPlugin& one : loaded_plugins)
    plugins.push_back({{"file", one.file.path.string()}, {"sha256", one.file.digest.hex()}});
  const nlohmann::json all = {
      {"name", experiment.name()},
      {"trials", experiment.trials()},
      {"controls", experiment.variations()},
      {"variations", experiment.variations()},
      {"interventions", experiment.alternatives()},
      {"factors", experiment.factors()},
      {"metrics", metrics},
      {"plugins", plugins},
      {"warnings", warnings},
      {"unsupported", unsupported},
      {"missing_data", *loaded.missing_data},
  };
  return all.dump(2, ' ', false, nlohmann::json::error_handler_t::replace) + "\n";
}

}  // namespace

void add_check(CLI::App& app, Context& context) {
  CLI::App* command = app.add_subcommand("check", "Validate an experiment file");
  command->footer(
      "Reports everything that is wrong at once, with its place; ends with 2 if there is "
      "anything.\n"
      "What is valid but cannot be run by this build, and data that are missing, are said too.\n\n"
      "Example:\n  perturb check momentum.toml optimizer.lr=0.1");
  auto arguments = std::make_shared<ExperimentArguments>();
  arguments->add_to(*command);
  context.on(command, [&context, arguments] {
    const Loaded loaded = arguments->load(context);
    loaded.experiment.data(loaded.experiment.trial(0));  // looks the data up
    context.out.write(context.json ? json(loaded, context.plugins)
                                   : text(loaded.experiment, *arguments, context.plugins));
    for (const Diagnostic& reason : loaded.experiment.unsupported())
      context.err.write(render(reason));
    for (const std::string& missing : *loaded.missing_data)
      context.err.line("note: " + printable(missing));
    return ExitCode::Done;
  });
}

}  // namespace perturb
