#include <charconv>
#include <cmath>

#include "catalog/families.h"

namespace perturb {
namespace {

Parameter metric(const std::string& name, const std::string& help) {
  return {.name = name, .type = Type::String, .help = help, .selects = Selects::Metric};
}

Parameter plotted_metric() {
  return metric("metric", "What is plotted, by its label: \"test.accuracy\".");
}

Parameter factor(const std::string& name, const std::string& help) {
  return {.name = name, .type = Type::String, .help = help, .selects = Selects::Factor};
}

Parameter across() {
  return {
      .name = "x",
      .type = Type::String,
      .fallback = "epoch",
      .help = "What runs across.",
      .choices = {"epoch", "step"},
  };
}

Parameter place() {
  return {
      .name = "at",
      .type = Type::String,
      .fallback = "last",
      .help = "Where in the run, as `show --at` takes it: last, best, a step, or epoch:N.",
  };
}

Parameter difference() {
  return {
      .name = "difference",
      .type = Type::Bool,
      .fallback = false,
      .help = "The paired difference from the control, instead of the metric itself.",
  };
}

template <class Number>
bool is_number(std::string_view text) {
  Number number{};
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  return error == std::errc() && end == text.data() + text.size() && number >= 0 &&
         std::isfinite(static_cast<double>(number));
}

/// Of a plot that has `at`. What a place is, report/quantity.h decides; tests/report/plots_test.cpp
/// holds the two together.
std::string check_place(const std::map<std::string, Value>& parameters) {
  const std::string& at = parameters.at("at").as_string();
  constexpr std::string_view kEpoch = "epoch:";
  if (at == "last" || at == "best" || is_number<std::int64_t>(at)) return {};
  if (at.starts_with(kEpoch) && is_number<double>(std::string_view(at).substr(kEpoch.size())))
    return {};
  return "\"" + at + "\" is no place in a run: write \"last\", \"best\", \"1200\" or \"epoch:5\"";
}

std::string check_heatmap(const std::map<std::string, Value>& parameters) {
  const auto x = parameters.find("x");
  const auto y = parameters.find("y");
  if (x != parameters.end() && y != parameters.end() && x->second == y->second)
    return "x and y are the same factor";
  return check_place(parameters);
}

/// Of what is made of several metrics: the best of each by itself would be of no network.
std::string check_robustness(const std::map<std::string, Value>& parameters) {
  if (parameters.at("at") == Value("best"))
    return "what is made of several metrics is of one state: write \"last\", \"1200\" or "
           "\"epoch:5\"";
  return check_place(parameters);
}

}  // namespace

void add_plots(Schema& schema) {
  schema.add({
      .family = Family::Plot,
      .name = "curves",
      .help = "The metric over the run: replicates thin, their mean thick with its 95% interval, "
              "the control black.",
      .parameters = {plotted_metric(), across()},
  });
  schema.add({
      .family = Family::Plot,
      .name = "contrasts",
      .help = "Every intervention's paired difference from its control, with its 95% interval.",
      .parameters = {plotted_metric(), place()},
      .check = check_place,
  });
  schema.add({
      .family = Family::Plot,
      .name = "heatmap",
      .help = "The metric at a place in the run over two factors, a coloured cell each.",
      .parameters = {plotted_metric(), factor("x", "The factor across, as \"optimizer.lr\"."),
                     factor("y", "The factor upwards."), difference(), place()},
      .check = check_heatmap,
  });
  Parameter dose = factor("parameter",
                          "The dose: a numeric parameter of an intervention, as "
                          "\"perturb-weights.epsilon\"; may be left out if one alone varies.");
  dose.fallback = "";
  schema.add({
      .family = Family::Plot,
      .name = "dose-response",
      .help = "The metric against a numeric parameter of an intervention, beside the control.",
      .parameters = {plotted_metric(), dose, difference(), place()},
      .check = check_place,
  });
  schema.add({
      .family = Family::Plot,
      .name = "layers",
      .help = "A metric that is measured layer by layer: layers across, interventions down.",
      .parameters = {{
                         .name = "metric",
                         .type = Type::String,
                         .fallback = "*",
                         .help = "Which metrics, by label, with * for any characters; of those, "
                                 "all that are of some layers or one layer.",
                         .selects = Selects::Metrics,
                     },
                     difference(),
                     place()},
      .check = check_place,
  });
  schema.add({
      .family = Family::Plot,
      .name = "networks",
      .help = "What is measured of networks (`of`): networks across, variations and interventions "
              "down, a number in each cell.",
      .parameters = {{
                         .name = "metric",
                         .type = Type::String,
                         .fallback = "*",
                         .help = "Which metrics, by label, with * for any characters: "
                                 "\"*.accuracy.mean\"; of those, all that are of networks.",
                         .selects = Selects::Metrics,
                     },
                     difference(),
                     place()},
      .check = check_place,
  });
  schema.add({
      .family = Family::Plot,
      .name = "histogram",
      .help = "How the metric is distributed over trials at a place in the run.",
      .parameters = {plotted_metric(),
                     {
                         .name = "bins",
                         .type = Type::Int,
                         .fallback = 0,
                         .help = "How many; 0: by the number of values and their spread.",
                         .unit = "bins",
                         .least = 0,
                         .most = 200,
                     },
                     place()},
      .check = check_place,
  });
  schema.add({
      .family = Family::Plot,
      .name = "scatter",
      .help = "One metric against another at a place in the run, a mark a trial.",
      .parameters = {metric("x", "The metric across, by its label."),
                     metric("y", "The metric upwards."), place()},
      .check = check_place,
  });
  schema.add({
      .family = Family::Plot,
      .name = "grid",
      .help = "Curves of several metrics: a row a variation, a column a metric.",
      .parameters = {{
                         .name = "metrics",
                         .type = Type::StringList,
                         .fallback = List{},
                         .help = "The columns, by label; empty: those that `show` shows.",
                         .selects = Selects::Metric,
                     },
                     across()},
  });
  schema.add({
      .family = Family::Plot,
      .name = "robustness",
      .help = "A score under noise on the weights against the noise's strength: replicates thin, "
              "their mean thick with its 95% interval, the control black.",
      .parameters = {{
                         .name = "metric",
                         .type = Type::String,
                         .help = "Which score, without the strengths: \"test.accuracy\" for "
                                 "test.accuracy@0.1 and the like.",
                         .selects = Selects::Metrics,
                     },
                     place()},
      .check = check_robustness,
  });
  schema.add({
      .family = Family::Plot,
      .name = "profile",
      .help = "Metrics that differ in the level of one number, against that number: replicates "
              "thin, their mean thick with its 95% interval, the control black.",
      .parameters = {{
                         .name = "metric",
                         .type = Type::String,
                         .help = "Which metrics, by label, with * for any characters: "
                                 "\"test.loss_at.*\".",
                         .selects = Selects::Metrics,
                     },
                     place()},
      .check = check_robustness,
  });
  schema.add({
      .family = Family::Plot,
      .name = "distributions",
      .help = "The points that metrics of kind point measure, in the plane of their first two "
              "coordinates: examples, samples at step 0 and now.",
      .parameters = {place()},
      .check = check_robustness,
  });
  schema.add({
      .family = Family::Plot,
      .name = "field",
      .help = "The flow that metrics of kind traffic measure, a line from each place.",
      .parameters = {place()},
      .check = check_robustness,
  });
}

}  // namespace perturb
