#include "catalog/families.h"

namespace perturb {
namespace {

Parameter on() {
  return {
      .name = "on",
      .type = Type::String,
      .fallback = "test",
      .help = "The examples it is measured on, all of them, in evaluation mode.",
      .choices = {"train", "test"},
  };
}

void add_metrics(Schema& schema) {
  schema.add({
      .family = Family::Metric,
      .name = "loss",
      .help = "The task's loss, averaged over examples.",
      .parameters = {on()},
      .label = "{on}.loss",
      .better = Better::Lower,
  });
  schema.add({
      .family = Family::Metric,
      .name = "accuracy",
      .help = "Share of examples whose largest output is that of their class.",
      .parameters = {on()},
      .label = "{on}.accuracy",
      .better = Better::Higher,
  });
  schema.add({
      .family = Family::Metric,
      .name = "weight-norm",
      .help = "Euclidean norm of all parameters taken as one vector.",
      .label = "weight_norm",
  });
  schema.add({
      .family = Family::Metric,
      .name = "distance",
      .help = "Euclidean distance of all parameters, as one vector, from another state.",
      .parameters = {{
          .name = "to",
          .type = Type::String,
          .fallback = "init",
          .help = "init: the trial's own initial state, after interventions at init; control: "
                  "the control at the same step; trial:ID: that trial at the same step.",
      }},
      .label = "distance.{to}",
      .check = [](const std::map<std::string, Value>& parameters) -> std::string {
        const std::string& to = parameters.at("to").as_string();
        const std::string trial = "trial:";
        if (to == "init" || to == "control") return "";
        if (to.size() > trial.size() && to.compare(0, trial.size(), trial) == 0) return "";
        return "a distance is to \"init\", \"control\" or \"trial:ID\", not to \"" + to + "\"";
      },
      .unsupported = [](const std::map<std::string, Value>& parameters) -> std::string {
        const std::string& to = parameters.at("to").as_string();
        if (to == "init") return "";
        return "this build cannot measure the distance to another trial yet, only to \"init\"";
      },
  });
}

Parameter plotted_metric() {
  return {
      .name = "metric",
      .type = Type::String,
      .help = "What is plotted, by its label: \"test.accuracy\".",
  };
}

Parameter axis(const std::string& name, const std::string& help) {
  return {.name = name, .type = Type::String, .help = help};
}

void add_plots(Schema& schema) {
  const auto undrawn =
      always("this build does not draw plots yet; `perturb query` has the figures");
  schema.add({
      .family = Family::Plot,
      .name = "curves",
      .help = "The metric against steps: replicates thin, their mean thick, the control black.",
      .parameters = {plotted_metric()},
      .unsupported = undrawn,
  });
  schema.add({
      .family = Family::Plot,
      .name = "contrasts",
      .help = "Every intervention's difference from its control, with its interval.",
      .parameters = {plotted_metric()},
      .unsupported = undrawn,
  });
  schema.add({
      .family = Family::Plot,
      .name = "heatmap",
      .help = "The metric at the end of the run over two factors.",
      .parameters = {plotted_metric(), axis("x", "The factor across, as \"optimizer.lr\"."),
                     axis("y", "The factor upwards.")},
      .unsupported = undrawn,
  });
}

}  // namespace

void add_observations(Schema& schema) {
  add_metrics(schema);
  add_plots(schema);
}

}  // namespace perturb
