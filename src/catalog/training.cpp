#include <algorithm>
#include <cctype>

#include "catalog/families.h"

namespace perturb {
namespace {

Parameter learning_rate(double fallback) {
  return {
      .name = "lr",
      .type = Type::Float,
      .fallback = fallback,
      .help = "Learning rate, before the schedule scales it.",
      .least = 0,
      .live = true,
  };
}

std::vector<Parameter> adaptive(Parameter weight_decay) {
  return {
      learning_rate(1e-3),
      {
          .name = "beta1",
          .type = Type::Float,
          .fallback = 0.9,
          .help = "Decay of the running mean of the gradient, a step.",
          .least = 0,
          .most = 1,
          .below_most = true,
          .live = true,
      },
      {
          .name = "beta2",
          .type = Type::Float,
          .fallback = 0.999,
          .help = "Decay of the running mean of the squared gradient, a step.",
          .least = 0,
          .most = 1,
          .below_most = true,
          .live = true,
      },
      {
          .name = "eps",
          .type = Type::Float,
          .fallback = 1e-8,
          .help = "Added to the root of the second moment before it divides.",
          .least = 0,
          .live = true,
      },
      std::move(weight_decay),
  };
}

Parameter penalty() {
  return {
      .name = "weight_decay",
      .type = Type::Float,
      .fallback = 0.0,
      .help = "Times the parameters, added to the gradient (an L2 penalty).",
      .least = 0,
      .neutral = 0.0,
      .live = true,
  };
}

Parameter rule(std::string name, double fallback, std::string help) {
  return {
      .name = std::move(name),
      .type = Type::Float,
      .fallback = fallback,
      .help = std::move(help),
      .least = 0,
      .live = true,
  };
}

Parameter budget(std::string name, std::int64_t fallback, std::string help) {
  return {
      .name = std::move(name),
      .type = Type::Int,
      .fallback = fallback,
      .help = std::move(help),
      .unit = "steps",
      .least = 1,
      .most = 16777216,
      .live = true,
  };
}

Component guarded() {
  auto momentum = rule("momentum", 0.91,
                       "Share of the last step in the next: d = momentum d + (1 - momentum) step.");
  momentum.most = 1;
  momentum.below_most = true;
  auto decay =
      rule("decay", 0.9, "Factor of the rate after every other step, and when a rise is undone.");
  decay.most = 1;
  decay.above_least = true;
  auto growth = rule("growth", 1.05, "Factor of the rate after a step that found a new best.");
  growth.least = 1;
  return {
      .family = Family::Optimizer,
      .name = "guarded",
      .help =
          "Descent that remembers the parameters with the least loss so far: steps of bounded "
          "length with momentum; the rate grows while the loss falls; a rise that lasts goes "
          "back to the best; after its budget, or without patience, the parameters are the best "
          "and stay. For losses that are evaluated on fresh samples in every step.",
      .parameters = {rule("lr", 0.017, "Learning rate at first, before the schedule scales it."),
                     momentum,
                     rule("longest_step", 0.12,
                          "A step -lr g that is longer is scaled to this Euclidean norm."),
                     growth, decay, rule("least_lr", 1e-5, "The rate shrinks no further."),
                     rule("most_lr", 0.5, "The rate grows no further."),
                     budget("steps", 24,
                            "Its budget: so many losses are looked at, and the last step ends at "
                            "the best."),
                     budget("patience", 7, "It ends after so many steps without a new best."),
                     budget("rises", 3,
                            "After so many rises of the loss in a row it goes back to the best, "
                            "without momentum.")},
      .check = [](const std::map<std::string, Value>& parameters) -> std::string {
        return parameters.at("least_lr").as_float() > parameters.at("most_lr").as_float()
                   ? "least_lr is greater than most_lr"
                   : "";
      },
  };
}

void add_optimizers(Schema& schema) {
  schema.add({
      .family = Family::Optimizer,
      .name = "sgd",
      .help = "Stochastic gradient descent, with momentum as PyTorch defines it: "
              "v = momentum v + g; w = w - lr v.",
      .parameters =
          {
              learning_rate(0.1),
              {
                  .name = "momentum",
                  .type = Type::Float,
                  .fallback = 0.0,
                  // No upper bound: scaling 0.999 by 1.1 for a hundred steps is an experiment.
                  .help = "Share of the velocity that is kept at every step.",
                  .least = 0,
                  .live = true,
              },
              {
                  .name = "nesterov",
                  .type = Type::Bool,
                  .fallback = false,
                  .help = "Step along g + momentum v instead of v; without momentum the same.",
                  .neutral = false,
                  .live = true,
              },
              penalty(),
          },
  });
  schema.add({
      .family = Family::Optimizer,
      .name = "adam",
      .help = "Adam (Kingma and Ba, 2015), with bias correction.",
      .parameters = adaptive(penalty()),
      .revision = 2,  // in one pass over memory
  });
  schema.add({
      .family = Family::Optimizer,
      .name = "adamw",
      .help = "Adam with decoupled weight decay (Loshchilov and Hutter, 2019).",
      .parameters = adaptive({
          .name = "weight_decay",
          .type = Type::Float,
          .fallback = 0.01,
          .help = "The parameters shrink by lr x weight_decay of themselves at every step.",
          .least = 0,
          .live = true,
      }),
      .revision = 2,
  });
  schema.add(guarded());
}

std::vector<Parameter> with_warmup(std::vector<Parameter> parameters) {
  parameters.push_back({
      .name = "warmup",
      .type = Type::Int,
      .fallback = 0,
      .help = "Step t of the first so many has its learning rate times (t + 1) / warmup.",
      .unit = "steps",
      .least = 0,
      .most = kMostSteps,
      .neutral = 0,
  });
  return parameters;
}

void add_schedules(Schema& schema) {
  schema.add({
      .family = Family::Schedule,
      .name = "constant",
      .help = "The learning rate stays as it is.",
      .parameters = with_warmup({}),
  });
  schema.add({
      .family = Family::Schedule,
      .name = "step",
      .help = "The learning rate falls by a factor at regular intervals.",
      .parameters = with_warmup({
          {
              .name = "every",
              .type = Type::Int,
              .fallback = 10,
              .help = "How many epochs pass between two falls.",
              .unit = "epochs",
              .least = 1,
              .most = kMostEpochs,
          },
          {
              .name = "factor",
              .type = Type::Float,
              .fallback = 0.1,
              .help = "What the learning rate is multiplied by at each.",
              .least = 0,
          },
      }),
  });
  schema.add({
      .family = Family::Schedule,
      .name = "cosine",
      .help = "The learning rate follows half a cosine from its full value down to the floor.",
      .parameters = with_warmup({
          {
              .name = "horizon",
              .type = Type::Int,
              .fallback = 0,
              .help = "Step at which the floor is reached and kept; 0 is the end of the run, "
                      "and then a longer run is another trial from its first step.",
              .unit = "steps",
              .least = 0,
              .most = kMostSteps,
          },
          {
              .name = "floor",
              .type = Type::Float,
              .fallback = 0.0,
              .help = "Where it ends, as a fraction of the full learning rate.",
              .least = 0,
              .most = 1,
          },
      }),
  });
}

/// "cpu", "cuda" or "cuda:1": the names that LibTorch knows and that one trial can run on.
bool is_device(const std::string& name) {
  if (name == "cpu" || name == "cuda" || name == "mps") return true;
  const std::string indexed = "cuda:";
  if (name.compare(0, indexed.size(), indexed) != 0) return false;
  const std::string index = name.substr(indexed.size());
  return !index.empty() && index.size() <= 3 &&
         std::all_of(index.begin(), index.end(), [](unsigned char c) { return std::isdigit(c); });
}

void add_train(Schema& schema) {
  schema.add({
      .family = Family::Train,
      .help = "How long and on what a trial trains; none of it changes what a trial is.",
      .parameters =
          {
              {
                  .name = "epochs",
                  .type = Type::Int,
                  .fallback = 10,
                  .help = "Passes over the training set; 0 only initialises and measures.",
                  .unit = "epochs",
                  .least = 0,
                  .most = kMostEpochs,
                  .identity = false,
              },
              {
                  .name = "device",
                  .type = Type::String,
                  .fallback = "cpu",
                  .help = "Where tensors live: cpu, cuda, or cuda:1 for the second GPU.",
                  .identity = false,
              },
              {
                  .name = "threads",
                  .type = Type::Int,
                  .fallback = 1,
                  .help = "Threads of one trial; more than 1 changes sums in their last bits.",
                  .unit = "threads",
                  .least = 1,
                  .most = 1024,
                  .identity = false,
              },
          },
      .check = [](const std::map<std::string, Value>& parameters) -> std::string {
        const std::string& device = parameters.at("device").as_string();
        if (is_device(device)) return "";
        return "there is no device \"" + device + "\": it is cpu, cuda, cuda:0, cuda:1, ...";
      },
  });
}

Parameter seed(const std::string& stream, const std::string& help, bool live = true) {
  return {
      .name = stream,
      .type = Type::Int,
      .fallback = 0,
      .help = help,
      .least = 0,
      .live = live,
  };
}

void add_seeds(Schema& schema) {
  schema.add({
      .family = Family::Seeds,
      .help = "One seed a stream of randomness; streams never disturb each other.",
      .parameters =
          {
              // Initialisation is over before anything could be set.
              seed("init", "Initial parameters.", false),
              seed("shuffle", "Order of the training examples in every epoch."),
              seed("augment", "Random changes to training examples."),
              seed("noise", "Noise added while training."),
              seed("dropout", "Units that are dropped."),
              seed("sample", "Draws from a trained network, such as generated examples."),
          },
  });
}

Component flow_matching() {
  return {
      .family = Family::Task,
      .name = "flow-matching",
      .help =
          "A field that carries noise to the examples along straight paths: mean squared error "
          "against x1 - x0 at x = (1 - t) x0 + t x1 + sigma eps. What is drawn in a step comes "
          "from seeds.noise; source and eps are normal.",
      .parameters =
          {
              {
                  .name = "source_std",
                  .type = Type::Float,
                  .fallback = 0.01,
                  .help = "Standard deviation of the noise x0 that paths begin in.",
                  .least = 0,
                  .above_least = true,
              },
              {
                  .name = "sigma",
                  .type = Type::Float,
                  .fallback = 0.001,
                  .help = "Standard deviation of the noise beside the path.",
                  .least = 0,
              },
              {
                  .name = "times",
                  .type = Type::String,
                  .fallback = "uniform",
                  .help = "How t is drawn: uniform in [0, 1], or beta: Beta(2, 5), more often "
                          "early, where the paths part.",
                  .choices = {"uniform", "beta"},
              },
              {
                  .name = "coupling",
                  .type = Type::String,
                  .fallback = "independent",
                  .help = "Which noise goes to which example of a batch: as drawn, or "
                          "optimal-transport, the pairs with the least sum of squared distances.",
                  .choices = {"independent", "optimal-transport"},
              },
              {
                  .name = "fixed_noise",
                  .type = Type::Bool,
                  .fallback = false,
                  .help = "Every example has one x0 for the whole training instead of a fresh one "
                          "each step.",
              },
              {
                  .name = "ema",
                  .type = Type::Float,
                  .fallback = 0.0,
                  .help = "Generate with a running average of the parameters that keeps so much of "
                          "itself each step, such as 0.999; 0 takes the parameters.",
                  .least = 0,
                  .most = 1,
                  .below_most = true,
              },
          },
      .revision = 2,  // draws from seeds.noise
      .has = {Feature::Weights, Feature::Gradients, Feature::Activations, Feature::Examples,
              Feature::Loss, Feature::Networks},
  };
}

}  // namespace

void add_training(Schema& schema) {
  schema.add({
      .family = Family::Task,
      .name = "classification",
      .help = "Mean cross entropy between the softmax of the outputs and the class labels.",
      .has = {Feature::Weights, Feature::Gradients, Feature::Activations, Feature::Examples,
              Feature::Labels, Feature::Loss, Feature::Predictions},
  });
  schema.add(flow_matching());
  add_optimizers(schema);
  add_schedules(schema);
  add_train(schema);
  add_seeds(schema);
}

}  // namespace perturb
