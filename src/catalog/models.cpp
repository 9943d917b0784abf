#include "catalog/families.h"
#include "perturb/catalog/catalog.h"

namespace perturb {

std::vector<Parameter> model_parameters(std::vector<Parameter> own) {
  const std::vector<Parameter> start = {
      {
          .name = "init",
          .type = Type::String,
          .fallback = "kaiming-uniform",
          .help = "How parameters are drawn, from seeds.init. kaiming-uniform: weights and biases "
                  "U(-b, b), b = 1/sqrt(fan_in), as LibTorch does. he: weights U(-b, b), "
                  "b = sqrt(6/fan_in). xavier: weights U(-b, b), b = sqrt(6/(fan_in + "
                  "fan_out)). uniform: U(-init_bound, init_bound). normal: N(0, init_std^2). "
                  "flattened-kaiming-he: weights normal, each matrix rescaled to the norm "
                  "sqrt(2 fan_out). Biases are 0 in all but the first.",
          .choices = {"kaiming-uniform", "he", "xavier", "uniform", "normal",
                      "flattened-kaiming-he"},
      },
      {
          .name = "init_bound",
          .type = Type::Float,
          .fallback = 0.1,
          .help = "Half the width of the interval that init = \"uniform\" draws from.",
          .least = 0,
      },
      {
          .name = "init_std",
          .type = Type::Float,
          .fallback = 0.02,
          .help = "Standard deviation of the weights of init = \"normal\".",
          .least = 0,
      },
      {
          .name = "init_gain",
          .type = Type::Float,
          .fallback = 1.0,
          .help = "Factor on all weights that init draws; biases are not scaled.",
          .least = 0,
      },
  };
  own.insert(own.end(), start.begin(), start.end());
  return own;
}

namespace {

Parameter activation() {
  return {
      .name = "activation",
      .type = Type::String,
      .fallback = "relu",
      .help = "The function after every hidden layer; leaky-relu has slope 0.01 below zero.",
      .choices = {"relu", "tanh", "gelu", "sigmoid", "leaky-relu", "identity"},
  };
}

/// And where else they may come from.
std::vector<Parameter> with_start(std::vector<Parameter> own) {
  auto parameters = model_parameters(std::move(own));
  parameters.push_back({
      .name = "from",
      .type = Type::Reference,
      .fallback = "",
      .help = "Start from the end of another experiment's matching trial: "
              "{ experiment = \"x.toml\", at = \"end\", select = {...} }.",
      .neutral = "",
  });
  return parameters;
}

std::string starts_elsewhere(const std::map<std::string, Value>& parameters) {
  const auto from = parameters.find("from");
  if (from == parameters.end() || from->second == Value("")) return {};
  return "this build cannot start from another experiment yet";
}

ModelParts mlp_parts(const Condition& condition) {
  ModelParts parts;
  const auto hidden = condition.at("model.hidden").as_list().size();
  for (std::size_t i = 1; i <= hidden + 1; ++i) {
    const auto number = std::to_string(i);
    parts.parameters.insert(parts.parameters.end(),
                            {"fc" + number + ".weight", "fc" + number + ".bias"});
    parts.points.push_back("fc" + number);
    if (i > hidden) break;
    parts.points.push_back("act" + number);
    parts.units.push_back("fc" + number);
  }
  return parts;
}

ModelParts lenet5_parts(const Condition&) {
  return {
      .parameters = {"conv1.weight", "conv1.bias", "conv2.weight", "conv2.bias", "fc1.weight",
                     "fc1.bias", "fc2.weight", "fc2.bias", "fc3.weight", "fc3.bias"},
      .points = {"conv1", "pool1", "act1", "conv2", "pool2", "act2", "fc1", "act3", "fc2", "act4",
                 "fc3"},
      .units = {"conv1", "conv2", "fc1", "fc2"},
  };
}

}  // namespace

void add_models(Schema& schema) {
  schema.add({
      .family = Family::Model,
      .name = "mlp",
      .help = "Fully connected layers with an activation between them; images are flattened.",
      .parameters = with_start({
          {
              .name = "hidden",
              .type = Type::IntList,
              .fallback = List{128},
              .help = "Widths of the hidden layers, first to last; [] is a linear model.",
              .unit = "units",
              .least = 1,
              .most = kMostUnits,
          },
          activation(),
      }),
      .parts = mlp_parts,
      .unsupported = starts_elsewhere,
  });
  schema.add({
      .family = Family::Model,
      .name = "lenet5",
      .help = "LeNet-5 for 28 x 28 images: 5 x 5 convolutions to 6 (padding 2) and 16 channels, "
              "each with 2 x 2 max pooling, then layers of 120 and 84 units.",
      .parameters = with_start({activation()}),
      .parts = lenet5_parts,
      .unsupported = starts_elsewhere,
  });
}

}  // namespace perturb
