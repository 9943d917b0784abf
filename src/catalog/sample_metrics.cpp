// Metrics of what is fitted: of one entry of a parameter, of the samples of a generator, of its
// critic. Those that are one value of many have what tells them apart as parameters, for plots.
#include "catalog/families.h"

namespace perturb {
namespace {

Parameter on() {
  return {
      .name = "on",
      .type = Type::String,
      .fallback = "test",
      .help = "The examples it is measured on.",
      .choices = {"train", "test"},
  };
}

Parameter seed() {
  return {
      .name = "seed",
      .type = Type::Int,
      .fallback = 0,
      .help = "Which noise: the same for every state, and none that training sees.",
      .least = 0,
  };
}

Parameter samples(std::int64_t least = 1) {
  return {
      .name = "samples",
      .type = Type::Int,
      .fallback = 600,
      .help = "Fresh points of the model.",
      .unit = "points",
      .least = static_cast<double>(least),
      .most = 20000,
  };
}

Parameter place(std::string name, std::string help) {
  return {.name = std::move(name), .type = Type::Float, .help = std::move(help)};
}

Parameter with_default(Parameter parameter, Value fallback) {
  parameter.fallback = std::move(fallback);
  return parameter;
}

Parameter width(std::string name, double fallback, std::string help) {
  return {
      .name = std::move(name),
      .type = Type::Float,
      .fallback = fallback,
      .help = std::move(help),
      .unit = "lengths",
      .least = 0,
      .above_least = true,
  };
}

Parameter index(std::string name, std::string help, std::string unit) {
  return {
      .name = std::move(name),
      .type = Type::Int,
      .fallback = 0,
      .help = std::move(help),
      .unit = std::move(unit),
      .least = 0,
      .most = 1e9,
  };
}

Parameter domain() {
  return {
      .name = "domain",
      .type = Type::Int,
      .fallback = -1,
      .help = "Only the examples of this class, such as a domain of evidence; -1 is all.",
      .unit = "classes",
      .least = -1,
      .most = 1e9,
      .neutral = -1,
  };
}

Parameter power() {
  return {
      .name = "p",
      .type = Type::Int,
      .fallback = 2,
      .help = "The cost is the distance to this power.",
      .unit = "power",
      .least = 1,
      .most = 2,
  };
}

Parameter penalty() {
  return {
      .name = "penalty",
      .type = Type::Float,
      .fallback = 10.0,
      .help = "The penalty of the critic; congestion's lambda is twice as much.",
      .least = 0,
      .above_least = true,
  };
}

Parameter bandwidth() {
  return width("bandwidth", 0.15, "Of the normal kernels that densities are made of.");
}

Component of(std::string name, std::string help, std::vector<Parameter> parameters,
             std::vector<Feature> needs, std::string label, Better better = Better::Neither) {
  return {
      .family = Family::Metric,
      .name = std::move(name),
      .help = std::move(help),
      .parameters = std::move(parameters),
      .needs = std::move(needs),
      .label = std::move(label),
      .better = better,
  };
}

void add_parameter_metrics(Schema& schema) {
  auto name = place("name", "The first parameter whose name matches.");
  name.type = Type::String;
  name.selects = Selects::Tensors;
  const auto entry = index("index", "Which of its entries, row by row.", "entries");
  schema.add(of("parameter", "One entry of a parameter.", {name, entry}, {Feature::Weights},
                "parameter.{name}"));
  schema.add(of("loss-at",
                "What the task's loss would be if one entry of a parameter had another value, the "
                "others as they are: with levels of it a profile of the loss.",
                {name, entry, place("value", "What it would be."), on()},
                {Feature::Weights, Feature::Loss}, "{on}.loss_at.{name}.{value}"));
}

void add_distances(Schema& schema) {
  const std::vector<Feature> needs = {Feature::Samples};
  schema.add(of("wasserstein",
                "The Wasserstein distance Wp between fresh samples and the examples, exactly.",
                {power(), samples(), on(), domain(), seed()}, needs, "{on}.w{p}", Better::Lower));
  schema.add(of("sinkhorn-divergence",
                "The Sinkhorn divergence between fresh samples and the examples; for p = 2 near "
                "half of W2^2.",
                {with_default(power(), 2), width("blur", 0.07, "Its temperature is blur^p."),
                 samples(), on(), domain(), seed()},
                needs, "{on}.sinkhorn", Better::Lower));
  schema.add(
      of("mode-coverage",
         "How many classes of the examples have samples near them: within `radius` times the "
         "root mean square distance of their examples from their mean lie at least `share` "
         "of the samples that would be theirs.",
         {{
              .name = "radius",
              .type = Type::Float,
              .fallback = 2.0,
              .help = "In multiples of the class's spread.",
              .least = 0,
              .above_least = true,
          },
          {
              .name = "share",
              .type = Type::Float,
              .fallback = 0.25,
              .help = "Of the samples that are a class's by the number of its examples.",
              .least = 0,
              .most = 1,
              .above_least = true,
          },
          samples(),
          on(),
          seed()},
         needs, "{on}.modes", Better::Higher));
  schema.add(of("sample-density",
                "The mean density at fresh samples, of normal kernels on all others.",
                {bandwidth(), samples(2), seed()}, needs, "samples.density"));
  auto coordinate = index("coordinate", "Which of its coordinates.", "coordinates");
  schema.add(
      of("point",
         "One coordinate of one point. With levels of index and coordinate, measured at "
         "\"end\", a cloud to plot.",
         {{
              .name = "of",
              .type = Type::String,
              .fallback = "model",
              .help = "model: a fresh sample; init: of the trial's network at step 0, of the "
                      "same noise; train, test: an example.",
              .choices = {"model", "init", "train", "test"},
          },
          index("index", "Which point.", "points"),
          coordinate,
          seed()},
         needs, "point.{of}.{index}.{coordinate}"));
}

void add_critic_metrics(Schema& schema) {
  const std::vector<Feature> needs = {Feature::Samples, Feature::Critic};
  schema.add(of("critic-steepness",
                "The share of fresh samples at which the gradient of the critic is longer than 1.",
                {samples(2), seed()}, needs, "critic.steep_share"));
  schema.add(of("traffic-intensity",
                "The mean of lambda sigma (|grad u| - 1)_+ at fresh samples of density sigma.",
                {penalty(), bandwidth(), samples(2), seed()}, needs, "traffic.intensity"));
  schema.add(of("congestion-cost",
                "The integral of i + i^2 / (2 lambda sigma), the cost of traffic of intensity i at "
                "the samples' density sigma.",
                {penalty(), bandwidth(), samples(2), seed()}, needs, "traffic.cost"));
  const auto at = [](const char* name) { return place(name, "Where, in the plane."); };
  schema.add(of("traffic",
                "One component of the critic's flow at one place: -lambda sigma (|grad u| - 1)_+ "
                "along grad u, sigma the mean density of samples and examples. With levels of x, y "
                "and component, measured at \"end\", a field to plot.",
                {at("x"),
                 at("y"),
                 {
                     .name = "component",
                     .type = Type::String,
                     .fallback = "across",
                     .help = "Along x or along y.",
                     .choices = {"across", "up"},
                 },
                 penalty(),
                 bandwidth(),
                 samples(2),
                 on(),
                 seed()},
                needs, "traffic.{x}.{y}.{component}"));
  const auto cells = [] {
    Parameter parameter = index("cells", "Of the grid, along each side.", "cells");
    parameter.fallback = 40;
    parameter.least = 3;
    parameter.most = 1000;
    return parameter;
  };
  auto residual = of(
      "divergence-residual",
      "The integral over a square of |div w - (examples - samples)|, w the critic's flow: 0 where "
      "it carries the densities onto each other.",
      {with_default(place("left", "Of the square."), -5.0),
       with_default(place("right", "Of the square."), 5.0),
       with_default(place("bottom", "Of the square."), -5.0), cells(), penalty(), bandwidth(),
       samples(2), on(), seed()},
      needs, "traffic.residual", Better::Lower);
  residual.check = [](const std::map<std::string, Value>& parameters) -> std::string {
    return parameters.at("left").as_float() < parameters.at("right").as_float()
               ? ""
               : "right must be greater than left";
  };
  schema.add(std::move(residual));
  schema.add(of("critic-weights",
                "The share of the critic's weights and biases in [at - width / 2, at + width / 2): "
                "with levels of `at` a histogram.",
                {place("at", "The middle of the bin."), width("width", 0.01, "Of the bin.")},
                {Feature::Critic}, "critic.weights.{at}"));
}

}  // namespace

void add_sample_metrics(Schema& schema) {
  add_parameter_metrics(schema);
  add_distances(schema);
  add_critic_metrics(schema);
}

}  // namespace perturb
