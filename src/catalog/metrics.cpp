#include "catalog/families.h"

namespace perturb {
namespace {

Parameter on(const std::string& part = "test") {
  return {
      .name = "on",
      .type = Type::String,
      .fallback = part,
      .help = "The examples it is measured on, in evaluation mode.",
      .choices = {"train", "test"},
  };
}

Parameter examples(std::int64_t fallback = 0) {
  return {
      .name = "examples",
      .type = Type::Int,
      .fallback = fallback,
      .help = "The first so many of them only; 0 means all.",
      .unit = "examples",
      .least = 0,
      .most = kMostExamples,
  };
}

Parameter layers() {
  return {
      .name = "layers",
      .type = Type::String,
      .fallback = "*",
      .help = "Only parameters whose name matches; * stands for any characters.",
      .neutral = "*",
      .selects = Selects::Tensors,
  };
}

Parameter to(const std::string& fallback) {
  return {
      .name = "to",
      .type = Type::String,
      .fallback = fallback,
      .help =
          "init: the trial's own network at step 0, after interventions at init; control: the "
          "control after as many examples; trial:PATH=VALUE,...: likewise, of the variation "
          "that has these levels and is otherwise the trial's own.",
  };
}

/// The form of `to`; what varies is known to the experiment alone.
std::string check_to(const std::map<std::string, Value>& parameters) {
  const std::string& to = parameters.at("to").as_string();
  const std::string trial = "trial:";
  if (to == "init" || to == "control") return "";
  if (to.starts_with(trial) && to.find('=') != std::string::npos) return "";
  return "one compares with \"init\", \"control\" or \"trial:PATH=VALUE\", not with \"" + to + "\"";
}

std::string check_distance(const std::map<std::string, Value>& parameters) {
  if (parameters.at("per").as_string() == "initial-distance" &&
      parameters.at("to").as_string() == "init")
    return "the distance of the initialisation to itself is 0: per = \"initial-distance\" goes "
           "with another trial";
  return check_to(parameters);
}

Component of_state(std::string name, std::string help, std::vector<Parameter> parameters,
                   std::string label) {
  return {
      .family = Family::Metric,
      .name = std::move(name),
      .help = std::move(help),
      .parameters = std::move(parameters),
      .needs = {Feature::Weights},
      .label = std::move(label),
  };
}

void add_scores(Schema& schema) {
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
      .needs = {Feature::Predictions},
      .label = "{on}.accuracy",
      .better = Better::Higher,
  });
}

void add_state_metrics(Schema& schema) {
  schema.add(of_state("weight-norm", "Euclidean norm of the parameters taken as one vector.",
                      {layers()}, "weight_norm"));
  auto ratio = of_state("norm-ratio", "The norm of the parameters over that of another state.",
                        {to("init"), layers()}, "norm_ratio.{to}");
  ratio.check = check_to;
  schema.add(std::move(ratio));
  auto distance = of_state(
      "distance", "Euclidean distance of the parameters, as one vector, from another state.",
      {to("init"),
       {
           .name = "per",
           .type = Type::String,
           .fallback = "none",
           .help = "initial-distance: divided by the distance between the two networks at step 0.",
           .choices = {"none", "initial-distance"},
           .neutral = "none",
       },
       layers()},
      "distance.{to}");
  distance.check = check_distance;
  schema.add(std::move(distance));
  auto cosine =
      of_state("cosine-similarity", "Cosine of the angle between the parameters and another state.",
               {to("init"), layers()}, "cosine_similarity.{to}");
  cosine.check = check_to;
  schema.add(std::move(cosine));
}

Component compared(std::string name, std::string help, std::vector<Parameter> more,
                   std::string label, std::int64_t most_examples = 0) {
  std::vector<Parameter> parameters = {to("control")};
  parameters.insert(parameters.end(), more.begin(), more.end());
  parameters.push_back(on());
  parameters.push_back(examples(most_examples));
  return {
      .family = Family::Metric,
      .name = std::move(name),
      .help = std::move(help),
      .parameters = std::move(parameters),
      .needs = {Feature::Predictions},
      .label = std::move(label),
      .check = check_to,
  };
}

void add_function_metrics(Schema& schema) {
  schema.add(compared(
      "agreement", "Share of examples for which this network and another predict the same class.",
      {}, "{on}.agreement.{to}"));
  schema.add(compared("kl-divergence",
                      "KL(other || this) of the class probabilities, in nats, averaged over "
                      "examples.",
                      {}, "{on}.kl.{to}"));
  schema.add(compared("loss-barrier",
                      "How far the loss on the straight path to another network rises above the "
                      "line between its ends, at most; 0 if it does not.",
                      {{
                           .name = "points",
                           .type = Type::Int,
                           .fallback = 25,
                           .help = "Equally spaced on the path, both ends among them.",
                           .unit = "points",
                           .least = 3,
                           .most = 1000,
                       },
                       {
                           .name = "align",
                           .type = Type::Bool,
                           .fallback = false,
                           .help = "Relabel the other network's hidden units first, so that it "
                                   "lies as near as can be (Git Re-Basin's weight matching); "
                                   "heads of attention stay where they are.",
                           .neutral = false,
                       }},
                      "{on}.barrier.{to}"));
  schema.add(
      compared("cka",
               "Linear centred kernel alignment of activations with another network's: 1 for "
               "the same up to rotation and scale.",
               {{
                   .name = "layer",
                   .type = Type::String,
                   .help = "The first point of the forward pass whose name matches: "
                           "\"act2\".",
                   .selects = Selects::Points,
               }},
               "{on}.cka.{layer}.{to}", 1000));
}

Component curvature(std::string name, std::string help, std::vector<Parameter> more,
                    std::string label, std::int64_t most_examples = 1000) {
  std::vector<Parameter> parameters = {on("train"), examples(most_examples)};
  parameters.insert(parameters.end(), more.begin(), more.end());
  return {
      .family = Family::Metric,
      .name = std::move(name),
      .help = std::move(help),
      .parameters = std::move(parameters),
      .needs = {Feature::Loss},
      .label = std::move(label),
  };
}

Parameter probe_seed() {
  return {
      .name = "seed",
      .type = Type::Int,
      .fallback = 0,
      .help = "Which random vectors; the same for every state.",
      .least = 0,
  };
}

void add_curvature_metrics(Schema& schema) {
  schema.add(curvature("gradient-norm", "Euclidean norm of the gradient of the mean loss.", {},
                       "{on}.gradient_norm", 0));
  schema.add(
      curvature("hessian-eigenvalue",
                "The largest eigenvalue of the Hessian of the mean loss, by Lanczos' method.",
                {{
                     .name = "iterations",
                     .type = Type::Int,
                     .fallback = 50,
                     .help = "At most; each is a product of the Hessian with a vector.",
                     .unit = "iterations",
                     .least = 1,
                     .most = 1000,
                 },
                 {
                     .name = "tolerance",
                     .type = Type::Float,
                     .fallback = 1e-4,
                     .help = "It ends when the residual is less than this share of the eigenvalue.",
                     .least = 0,
                 },
                 probe_seed()},
                "{on}.hessian_eigenvalue"));
  schema.add(curvature(
      "hessian-trace",
      "The trace of the Hessian of the mean loss, estimated from random vectors of signs.",
      {{
           .name = "draws",
           .type = Type::Int,
           .fallback = 32,
           .help = "Each is a product of the Hessian with a vector.",
           .unit = "vectors",
           .least = 2,
           .most = 1e6,
       },
       {
           .name = "value",
           .type = Type::String,
           .fallback = "mean",
           .help = "The estimate, or its standard error; who asks for both pays for one.",
           .choices = {"mean", "standard-error"},
       },
       probe_seed()},
      "{on}.hessian_trace"));
  schema.add(curvature("sharpness",
                       "How much the loss rises at a step of length rho along its gradient: "
                       "L(w + rho g / |g|) - L(w).",
                       {{
                           .name = "rho",
                           .type = Type::Float,
                           .fallback = 0.05,
                           .help = "Length of the step.",
                           .least = 0,
                           .above_least = true,
                       }},
                       "{on}.sharpness", 0));
}

Component under_noise(const std::string& score, const std::string& help, Better better) {
  return {
      .family = Family::Metric,
      .name = "noisy-" + score,
      .help = help +
              " while weights carry noise, averaged over draws; biases, normalisation layers and "
              "class tokens and positions of transformers carry none. Afterwards the weights have "
              "their bits again.",
      .parameters = {{
                         .name = "strength",
                         .type = Type::Float,
                         .help = "Standard deviation of the noise; of what, says relative_to. 0 "
                                 "is the network as it is.",
                         .least = 0,
                     },
                     {
                         .name = "draws",
                         .type = Type::Int,
                         .fallback = 5,
                         .help = "Each a pass over the examples; at strength 0 one is enough.",
                         .unit = "draws",
                         .least = 1,
                         .most = 1e6,
                     },
                     {
                         .name = "relative_to",
                         .type = Type::String,
                         .fallback = "std",
                         .help = "As of weight-noise. std: N(0, (strength max(std(W), 1e-8))^2); "
                                 "norm: N(0, (strength |W| / sqrt(n))^2); filter: the same for "
                                 "each filter by itself; none: N(0, strength^2).",
                         .choices = {"std", "norm", "filter", "none"},
                         .neutral = "std",
                     },
                     layers(),
                     on(),
                     examples(),
                     {
                         .name = "seed",
                         .type = Type::Int,
                         .fallback = 0,
                         .help = "Which noise: the same for every state and, scaled, for every "
                                 "strength.",
                         .least = 0,
                     }},
      .needs = {Feature::Weights, Feature::Predictions},
      .label = "{on}." + score + "@{strength}",
      .better = better,
  };
}

void add_noise_metrics(Schema& schema) {
  schema.add(under_noise("loss", "The task's loss", Better::Lower));
  schema.add(under_noise("accuracy", "The share of examples whose largest output is their class's",
                         Better::Higher));
}

/// Of networks that are generated, or that they are held against.
Component of_networks(std::string name, std::string help, std::vector<Parameter> own,
                      std::string label) {
  std::vector<Parameter> parameters = {
      {
          .name = "of",
          .type = Type::String,
          .fallback = "generated",
          .help = "Which networks. generated: drawn from what was learnt, from seeds.sample. "
                  "originals: the training networks. held-out: the test networks. noisy-X: "
                  "originals with noise N(0, X^2). pairs: the middle between each original and "
                  "the next. average: of all originals. gaussian: every coordinate by itself "
                  "normal, with the originals' mean and deviation.",
          .choices = {"generated", "originals", "held-out", "noisy-1e-4", "noisy-1e-3",
                      "noisy-1e-2", "noisy-1e-1", "pairs", "average", "gaussian"},
      },
      {
          .name = "networks",
          .type = Type::Int,
          .fallback = 100,
          .help = "So many of them; originals and held-out: all there are.",
          .unit = "networks",
          .least = 1,
          .most = 1e6,
      },
      {
          .name = "sampler",
          .type = Type::String,
          .fallback = "euler",
          .help = "How the flow is integrated: euler (order 1), midpoint (2), rk4 (4), or adaptive "
                  "(Dormand and Prince, relative tolerance 1e-5).",
          .choices = {"euler", "midpoint", "rk4", "adaptive"},
      },
      {
          .name = "steps",
          .type = Type::Int,
          .fallback = 100,
          .help = "Of equal length; not of adaptive.",
          .unit = "steps",
          .least = 1,
          .most = 1e6,
      },
      {
          .name = "seed",
          .type = Type::Int,
          .fallback = 0,
          .help = "Which noise, of noisy-X and gaussian.",
          .least = 0,
      },
  };
  parameters.insert(parameters.begin() + 1, own.begin(), own.end());
  return {
      .family = Family::Metric,
      .name = std::move(name),
      .help = std::move(help),
      .parameters = std::move(parameters),
      .needs = {Feature::Networks},
      .label = std::move(label),
  };
}

void add_network_metrics(Schema& schema) {
  auto accuracy = of_networks(
      "network-accuracy",
      "Accuracy of networks on the test examples of the population that was learnt from. Running "
      "statistics of networks that nobody trained are measured anew on its training examples.",
      {{
          .name = "value",
          .type = Type::String,
          .fallback = "mean",
          .help = "Over networks: mean, sd, min or max; who asks for all pays for one.",
          .choices = {"mean", "sd", "min", "max"},
      }},
      "{of}.accuracy.{value}");
  accuracy.better = Better::Higher;
  schema.add(std::move(accuracy));
  schema.add(of_networks(
      "error-overlap",
      "Intersection over union of the test examples that two networks get wrong, averaged over "
      "pairs of one of them and one original; of originals, over pairs of two.",
      {}, "{of}.error_overlap"));
  schema.add(of_networks(
      "rms-ratio",
      "Root mean square of the parameters over that of the originals'; under 0.8 the flow has not "
      "learnt how large networks are.",
      {}, "{of}.rms_ratio"));
  schema.add(of_networks(
      "novelty",
      "Mean distance to the nearest original over the mean distance of an original to the nearest "
      "other: near 0 it is a copy, near 1 as new as one more original.",
      {}, "{of}.novelty"));
}

}  // namespace

void add_metrics(Schema& schema) {
  add_scores(schema);
  add_state_metrics(schema);
  add_function_metrics(schema);
  add_curvature_metrics(schema);
  add_noise_metrics(schema);
  add_network_metrics(schema);
}

}  // namespace perturb
