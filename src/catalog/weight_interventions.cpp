#include "catalog/interventions.h"

namespace perturb {
namespace {

std::string check_perturbation(const std::map<std::string, Value>& parameters) {
  if (parameters.at("mode").as_string() != "rotate") return {};
  const std::string& relative_to = parameters.at("relative_to").as_string();
  if (relative_to == "std") {
    return "mode = \"rotate\" moves along a sphere: relative_to is \"norm\", \"filter\" or "
           "\"none\"";
  }
  if (relative_to != "none" && parameters.at("epsilon").as_float() > 2) {
    return "mode = \"rotate\" cannot move a tensor by more than twice its norm: epsilon is "
           "at most 2";
  }
  return {};
}

std::string check_toward(const std::map<std::string, Value>& parameters) {
  const std::string& toward = parameters.at("toward").as_string();
  if (toward == "init" || (toward.starts_with("trial:") && toward.find('=') != std::string::npos))
    return {};
  return "one interpolates toward \"init\" or \"trial:PATH=VALUE\", not toward \"" + toward + "\"";
}

Parameter epsilon() {
  return {
      .name = "epsilon",
      .type = Type::Float,
      .help = "How far; what it is relative to says relative_to. 0 changes nothing.",
      .least = 0,
  };
}

Component perturb_weights() {
  return {
      .family = Family::Intervention,
      .name = "perturb-weights",
      .help =
          "Moves the parameters in a random direction, each tensor p by itself. In a window, "
          "before each of its steps.",
      .parameters =
          {
              {
                  .name = "mode",
                  .type = Type::String,
                  .fallback = "gaussian",
                  .help = "gaussian adds normal noise. rotate keeps the norm r of p: with delta "
                          "= epsilon r (or epsilon, if relative to none) and theta = arccos(1 - "
                          "delta^2 / (2 r^2)) the new tensor is p cos(theta) + v r sin(theta), v "
                          "a random unit vector orthogonal to p, so that it has moved by "
                          "delta; a zero tensor stays zero.",
                  .choices = {"gaussian", "rotate"},
              },
              epsilon(),
              {
                  .name = "relative_to",
                  .type = Type::String,
                  .fallback = "norm",
                  .help = "gaussian: with norm the noise is N(0, (epsilon |p| / sqrt(n))^2), n "
                          "elements, so that a tensor moves by epsilon |p| (root mean square); "
                          "with filter the same for each filter (row of a matrix) by itself; "
                          "with std N(0, (epsilon std(p))^2), std unbiased and 0 for one "
                          "element; with none N(0, epsilon^2). rotate: norm or filter (epsilon "
                          "up to 2, which negates), or none (epsilon up to twice the norm).",
                  .choices = {"norm", "std", "filter", "none"},
              },
              noise_seed("noise, or which direction"),
              parameters_by_name(),
          },
      .moment = Moment::Init,
      .needs = {Feature::Weights},
      .check = check_perturbation,
  };
}

Component weight_noise() {
  return {
      .family = Family::Intervention,
      .name = "weight-noise",
      .help =
          "Noise on the weights for every batch: forward and backward pass see W + noise, the "
          "optimizer takes its step from W. Biases, normalisation layers and class tokens and "
          "positions of "
          "transformers have none.",
      .parameters =
          {
              epsilon(),
              {
                  .name = "relative_to",
                  .type = Type::String,
                  .fallback = "std",
                  .help = "std: N(0, (epsilon max(std(W), 1e-8))^2), std unbiased over the tensor; "
                          "norm: N(0, (epsilon |W| / sqrt(n))^2), n elements; filter: the same for "
                          "each filter by itself; none: N(0, epsilon^2).",
                  .choices = {"std", "norm", "filter", "none"},
              },
              noise_seed("noise"),
              parameters_by_name(),
          },
      .moment = Moment::WholeRun,
      .needs = {Feature::Weights, Feature::Gradients},
  };
}

Component prune_weights() {
  return {
      .family = Family::Intervention,
      .name = "prune-weights",
      .help =
          "Sets a share of every tensor to zero. In a window these weights stay zero after "
          "every step, whatever momentum wants, and have no gradient.",
      .parameters =
          {
              fraction("Share of each tensor's elements, rounded to whole ones."),
              {
                  .name = "by",
                  .type = Type::String,
                  .fallback = "magnitude",
                  .help = "magnitude: the smallest in absolute value when the window begins; "
                          "random: drawn.",
                  .choices = {"magnitude", "random"},
              },
              noise_seed("weights, if by = \"random\""),
              parameters_by_name("*.weight"),
          },
      .moment = Moment::Init,
      .needs = {Feature::Weights},
  };
}

Component flip_signs() {
  return {
      .family = Family::Intervention,
      .name = "flip-signs",
      .help =
          "Changes the sign of a random share of every tensor. In a window, of others before "
          "each of its steps.",
      .parameters = {fraction("Share of each tensor's elements, rounded to whole ones."),
                     noise_seed("elements"), parameters_by_name("*.weight")},
      .moment = Moment::Init,
      .needs = {Feature::Weights},
  };
}

Component quantise_weights() {
  return {
      .family = Family::Intervention,
      .name = "quantise-weights",
      .help =
          "Rounds every tensor to 2^bits - 1 equally spaced levels from -max|p| to max|p|, 0 "
          "among them. In a window, before each of its steps.",
      .parameters = {{
                         .name = "bits",
                         .type = Type::Int,
                         .help = "Of the integer that a weight is rounded to.",
                         .unit = "bits",
                         .least = 2,
                         .most = 16,
                     },
                     parameters_by_name("*.weight")},
      .moment = Moment::Init,
      .needs = {Feature::Weights},
  };
}

Component permute_units() {
  return {
      .family = Family::Intervention,
      .name = "permute-units",
      .help =
          "Puts hidden units into a random order, their incoming and outgoing weights and what "
          "the optimizer remembers of them included: the network computes what it did.",
      .parameters = {{
                         .name = "layers",
                         .type = Type::String,
                         .fallback = "*",
                         .help = "Only units that are outputs of layers whose name matches: "
                                 "\"fc1\", \"conv*\"; \"*.heads\" are whole attention heads.",
                         .selects = Selects::Units,
                     },
                     noise_seed("order")},
      .revision = 2,  // attention heads as well
      .moment = Moment::Init,
      .needs = {Feature::Weights},
  };
}

Component reinitialise() {
  return {
      .family = Family::Intervention,
      .name = "reinitialise",
      .help =
          "Draws parameters anew as model.init says, and sets what the optimizer remembers of "
          "them to zero.",
      .parameters = {noise_seed("values"), parameters_by_name()},
      .moment = Moment::Init,
      .needs = {Feature::Weights},
  };
}

Component interpolate_weights() {
  return {
      .family = Family::Intervention,
      .name = "interpolate-weights",
      .help =
          "Moves the parameters along the straight line to another state: w + fraction (w' - "
          "w). In a window, before each of its steps.",
      .parameters =
          {
              {
                  .name = "toward",
                  .type = Type::String,
                  .help = "init: the trial's own initial parameters; trial:PATH=VALUE,...: the "
                          "control of the variation that has these levels and is otherwise the "
                          "trial's own, after as many examples (needs a window).",
              },
              fraction("How far; at 1 it takes the other's place."),
              parameters_by_name(),
          },
      .moment = Moment::WholeRun,
      .needs = {Feature::Weights},
      .check = check_toward,
  };
}

}  // namespace

void add_weight_interventions(Schema& schema) {
  schema.add(perturb_weights());
  schema.add(weight_noise());
  schema.add(prune_weights());
  schema.add(flip_signs());
  schema.add(quantise_weights());
  schema.add(permute_units());
  schema.add(reinitialise());
  schema.add(interpolate_weights());
}

}  // namespace perturb
