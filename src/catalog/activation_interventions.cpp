#include "catalog/interventions.h"

namespace perturb {
namespace {

/// Acts in forward passes of training; metrics see the network without it.
Component on_activations(std::string name, std::string help, std::vector<Parameter> parameters) {
  return {
      .family = Family::Intervention,
      .name = std::move(name),
      .help = std::move(help),
      .parameters = std::move(parameters),
      .moment = Moment::WholeRun,
      .needs = {Feature::Activations},
  };
}

std::string check_clamp(const std::map<std::string, Value>& parameters) {
  if (parameters.at("least").as_float() <= parameters.at("most").as_float()) return {};
  return "\"least\" is greater than \"most\"";
}

}  // namespace

void add_activation_interventions(Schema& schema) {
  schema.add(on_activations(
      "perturb-activations", "Adds normal noise to activations in training, fresh for every batch.",
      {{
           .name = "epsilon",
           .type = Type::Float,
           .help = "How much; what it is relative to says relative_to. 0 changes nothing.",
           .least = 0,
       },
       {
           .name = "relative_to",
           .type = Type::String,
           .fallback = "std",
           .help = "std: N(0, (epsilon std(x))^2), over the whole batch at that point; none: N(0, "
                   "epsilon^2).",
           .choices = {"std", "none"},
       },
       noise_seed("noise"),
       points_by_name()}));
  schema.add(on_activations(
      "scale-activations", "Multiplies activations in training.",
      {{.name = "factor", .type = Type::Float, .help = "1 changes nothing."}, points_by_name()}));
  schema.add(on_activations(
      "zero-units", "Silences units in training: the same ones in every step.",
      {fraction("Share of each layer's units (features or channels), rounded to whole ones."),
       noise_seed("units"), points_by_name()}));
  schema.add(on_activations("drop-activations",
                            "Dropout in training: zeroes each element with a probability and "
                            "scales the others so that the mean stays.",
                            {{
                                 .name = "probability",
                                 .type = Type::Float,
                                 .help = "Of an element to be zeroed; 0 changes nothing.",
                                 .least = 0,
                                 .most = 1,
                                 .below_most = true,
                             },
                             noise_seed("elements"),
                             points_by_name()}));
  auto clamp = on_activations(
      "clamp-activations", "Limits activations in training to an interval.",
      {{.name = "least", .type = Type::Float, .help = "What is smaller becomes this."},
       {.name = "most", .type = Type::Float, .help = "What is larger becomes this."},
       points_by_name()});
  clamp.check = check_clamp;
  schema.add(std::move(clamp));
}

}  // namespace perturb
