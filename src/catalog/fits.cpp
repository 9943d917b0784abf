// Tasks that fit distributions: by a distance that is known, by a critic, by optimal transport.
#include "catalog/families.h"
#include "catalog/parameters.h"

namespace perturb {
namespace {

Parameter noise() {
  return {
      .name = "noise",
      .type = Type::Int,
      .fallback = 2,
      .help = "Standard normal numbers that the model makes a point of.",
      .unit = "coordinates",
      .least = 1,
      .most = kMostUnits,
  };
}

Parameter number(std::string name, double fallback, std::string help, bool above = false) {
  return {
      .name = std::move(name),
      .type = Type::Float,
      .fallback = fallback,
      .help = std::move(help),
      .least = 0,
      .above_least = above,
  };
}

Parameter beta(std::string name, double fallback, std::string help) {
  auto parameter = number(std::move(name), fallback, std::move(help));
  parameter.most = 1;
  parameter.below_most = true;
  return parameter;
}

struct CriticDefaults {
  std::int64_t width, layers;
  std::string activation;
  double lr, beta1, beta2;
};

std::vector<Parameter> critic(const CriticDefaults& defaults) {
  return {
      count("critic_width", defaults.width, kMostUnits, "units",
            "Of a hidden layer of the critic."),
      count("critic_layers", defaults.layers, 1000, "layers", "Hidden layers of the critic."),
      {
          .name = "critic_activation",
          .type = Type::String,
          .fallback = defaults.activation,
          .help = "After the critic's hidden layers; leaky-relu has slope 0.2 below zero.",
          .choices = {"leaky-relu", "tanh"},
      },
      number("critic_lr", defaults.lr, "Learning rate of the critic's Adam."),
      beta("critic_beta1", defaults.beta1, "Its decay of the running mean of the gradient."),
      beta("critic_beta2", defaults.beta2,
           "Its decay of the running mean of the squared gradient."),
  };
}

/// Of what is trained against a critic.
std::vector<Parameter> adversarial(const CriticDefaults& defaults, double clip) {
  std::vector<Parameter> all = {
      noise(),
      count("critic_steps", 5, 1e6, "updates", "Updates of the critic in every step."),
      {
          .name = "constraint",
          .type = Type::String,
          .fallback = "penalty",
          .help = "What keeps the critic u from being too steep. penalty: penalty E (|grad u| - "
                  "1)^2 at points between data and samples is added to its loss. "
                  "one-sided-penalty: penalty E (|grad u| - 1)_+^2, which is the dual of congested "
                  "transport. clipping: its weights and biases are clamped to [-clip, clip] after "
                  "each update.",
          .choices = {"penalty", "one-sided-penalty", "clipping"},
      },
      number("penalty", 10, "Factor of the penalty; none under clipping."),
      number("clip", clip, "Greatest magnitude of the critic's weights under clipping.", true),
  };
  const auto more = critic(defaults);
  all.insert(all.end(), more.begin(), more.end());
  return all;
}

Component discrete_fit() {
  return {
      .family = Family::Task,
      .name = "fit-discrete",
      .help =
          "Fits the masses of bins that a model such as binomial gives to a histogram. The loss "
          "is their distance.",
      .parameters = {{
                         .name = "distance",
                         .type = Type::String,
                         .fallback = "wasserstein-mean",
                         .help =
                             "Between the data p and the model q. wasserstein: sum over bins of "
                             "|CDF_p - CDF_q|, W1 with bins at 0, 1, 2, ...; wasserstein-mean: "
                             "the same divided by the number of bins; kl: KL(p || q); "
                             "reverse-kl: KL(q || p); mean-kl: the mean of both.",
                         .choices = {"wasserstein-mean", "wasserstein", "kl", "reverse-kl",
                                     "mean-kl"},
                     },
                     {
                         .name = "margin",
                         .type = Type::Float,
                         .fallback = 1e-3,
                         .help = "Before each step, parameters, which are probabilities, are "
                                 "clamped to [margin, 1 - margin].",
                         .least = 0,
                         .most = 0.5,
                         .below_most = true,
                     }},
      .has = {Feature::Weights, Feature::Gradients, Feature::Activations, Feature::Examples,
              Feature::Loss},
  };
}

Parameter share(std::string name, double fallback, std::string help) {
  return number(std::move(name), fallback, std::move(help));
}

Parameter samples(std::string name, std::string help) {
  return count(std::move(name), 600, 20000, "points", std::move(help));
}

std::vector<Parameter> virtual_target() {
  return {
      {
          .name = "target",
          .type = Type::String,
          .fallback = "data",
          .help = "What the samples are moved toward. data: the batch. kde, barycenter: the batch "
                  "is evidence, points of several domains (their classes), and a virtual target is "
                  "made of all evidence in every step: kde draws rows of it with normal noise; "
                  "barycenter draws points of the entropic Wasserstein barycenter of the domains "
                  "and gives them the noise.",
          .choices = {"data", "kde", "barycenter"},
      },
      share("target_weight", 1, "Factor of the loss toward the target, virtual or not."),
      share("evidence_weight", 1,
            "Factor of the loss toward the domains, each by its share; for evidence alone."),
      {
          .name = "domain_weights",
          .type = Type::FloatList,
          .fallback = List{},
          .help = "Shares of the domains by their proportions; [] is the same for all.",
          .least = 0,
      },
      {
          .name = "temperature",
          .type = Type::Float,
          .fallback = 1.0,
          .help = "kde takes a domain with probability softmax(share / temperature).",
          .least = 0,
          .above_least = true,
      },
      samples("virtual_samples", "Points of the virtual target."),
      number("bandwidth", 0.22, "Standard deviation of the virtual target's noise, in lengths."),
      number("broadening", 0.07,
             "Added to the bandwidth at first; it dies away as exp(-step / broadening_steps)."),
      number("broadening_steps", 10, "How fast that is, in steps.", true),
      {
          .name = "adaptive",
          .type = Type::Bool,
          .fallback = false,
          .help =
              "The bandwidth is in multiples of the evidence's mean standard deviation along an "
              "axis.",
      },
      number("barycenter_epsilon", 0.5, "Temperature of the barycenter, in squared lengths.", true),
  };
}

std::vector<Parameter> transport_parameters() {
  std::vector<Parameter> all = {
      noise(),
      samples("samples", "Points that the model makes in a step, of fresh noise."),
      {
          .name = "blur",
          .type = Type::Float,
          .fallback = 0.07,
          .help = "Of the Sinkhorn divergence, in lengths: its temperature is blur^2.",
          .least = 0,
          .above_least = true,
      },
      {
          .name = "iterations",
          .type = Type::Int,
          .fallback = 0,
          .help =
              "At most so many at its last temperature, after the annealing. 0 is what geomloss "
              "does: the value is some 20% low, its slope good enough to go down by.",
          .unit = "iterations",
          .least = 0,
          .most = 1e6,
      },
      share("divergence_weight", 1, "Factor of the Sinkhorn divergence in the loss."),
      share("map_weight", 0,
            "Factor of the map loss: the mean of |x - T(x)|^2, T the entropic plan's barycentric "
            "map, taken as fixed."),
      share("spread_weight", 0,
            "Factor of -log det(cov + ridge I), cov the samples' covariance, against collapse."),
      number("ridge", 1e-6, "Of the covariance.", true),
  };
  for (const auto& more : virtual_target()) all.push_back(more);
  all.push_back({
      .name = "congestion",
      .type = Type::Bool,
      .fallback = false,
      .help = "The critic is trained on in every step, between target and samples with a one-sided "
              "penalty and a weighted Sobolev norm. Where the mean traffic intensity that it gives "
              "the samples exceeds traffic_bound, the gradient shrinks by their ratio.",
  });
  all.push_back(count("critic_steps", 5, 1e6, "updates", "Updates of the critic in every step."));
  all.push_back(number("penalty", 10, "Factor of its one-sided penalty.", true));
  all.push_back(number("sobolev", 0.1, "Factor of E (u^2 + |grad u|^2) in its loss."));
  all.push_back(number("traffic_bound", 1,
                       "Mean traffic intensity from which on the gradient shrinks.", true));
  all.push_back(number("traffic_bandwidth", 0.15,
                       "Of the normal kernels that the density of samples is made of, in lengths.",
                       true));
  for (const auto& more : critic({.width = 256,
                                  .layers = 3,
                                  .activation = "leaky-relu",
                                  .lr = 2e-4,
                                  .beta1 = 0,
                                  .beta2 = 0.9}))
    all.push_back(more);
  return all;
}

}  // namespace

void add_fits(Schema& schema) {
  schema.add(discrete_fit());
  schema.add({
      .family = Family::Task,
      .name = "wgan",
      .help = "Trains a generator against a critic that is carried along: in every step the critic "
              "is updated several times, on the batch and on other training examples, then the "
              "generator once, toward larger u. The loss is the critic's estimate of W1.",
      .parameters = adversarial({.width = 256,
                                 .layers = 3,
                                 .activation = "leaky-relu",
                                 .lr = 2e-4,
                                 .beta1 = 0,
                                 .beta2 = 0.9},
                                0.01),
      .has = {Feature::Weights, Feature::Gradients, Feature::Activations, Feature::Examples,
              Feature::Samples, Feature::Critic},
  });
  schema.add({
      .family = Family::Task,
      .name = "fit-density",
      .help = "Fits a distribution, such as normal, by a critic that is drawn and trained anew in "
              "every step, from seeds.sample. The loss is the sliced distance between samples and "
              "examples.",
      .parameters = adversarial({.width = 32,
                                 .layers = 2,
                                 .activation = "tanh",
                                 .lr = 1e-3,
                                 .beta1 = 0.9,
                                 .beta2 = 0.999},
                                0.1),
      .has = {Feature::Weights, Feature::Gradients, Feature::Activations, Feature::Examples,
              Feature::Samples},
  });
  schema.add({
      .family = Family::Task,
      .name = "transport",
      .help = "Moves the samples of a generator toward a target by optimal transport. The critic "
              "that it was pretrained with comes along by model.from. The loss is the Sinkhorn "
              "divergence between samples and examples.",
      .parameters = transport_parameters(),
      .has = {Feature::Weights, Feature::Gradients, Feature::Activations, Feature::Examples,
              Feature::Samples, Feature::Critic},
      .check = [](const std::map<std::string, Value>& parameters) -> std::string {
        const double loss =
            parameters.at("divergence_weight").as_float() + parameters.at("map_weight").as_float();
        return loss > 0 ? "" : "divergence_weight and map_weight are both zero: nothing moves";
      },
  });
}

}  // namespace perturb
