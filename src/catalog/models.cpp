#include "catalog/families.h"
#include "catalog/model_parts.h"
#include "catalog/parameters.h"
#include "perturb/catalog/catalog.h"

namespace perturb {

std::vector<Parameter> model_parameters(std::vector<Parameter> own) {
  const std::vector<Parameter> start = {
      {
          .name = "init",
          .type = Type::String,
          .fallback = "kaiming-uniform",
          .help = "How parameters are drawn, from seeds.init. kaiming-uniform: weights and biases "
                  "U(-b, b), b = 1/sqrt(fan_in), as LibTorch does. kaiming-normal: "
                  "weights of convolutions N(0, 2/fan_out), the rest as kaiming-uniform, as "
                  "torchvision's residual networks. he: weights U(-b, b), "
                  "b = sqrt(6/fan_in). xavier: weights U(-b, b), b = sqrt(6/(fan_in + "
                  "fan_out)). uniform: U(-init_bound, init_bound). normal: N(0, init_std^2). "
                  "flattened-kaiming-he: weights normal, each matrix rescaled to the norm "
                  "sqrt(2 fan_out). Biases are 0 in all but the first two; class "
                  "tokens and positions of transformers are N(0, 0.02^2) in all.",
          .choices = {"kaiming-uniform", "kaiming-normal", "he", "xavier", "uniform", "normal",
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
      {
          .name = "weights",
          .type = Type::File,
          .fallback = "",
          .help = "A safetensors file with a value for every parameter and buffer, of the same "
                  "names and shapes: the network starts from them, and what init draws is not "
                  "used. Identity takes the content, not the name. `perturb import` makes one of "
                  "a PyTorch state_dict.",
          .neutral = "",
      },
      {
          .name = "weights_names",
          .type = Type::StringList,
          .fallback = List{},
          .help = "What the file's tensors are called here, one after the other: \"THEIRS=OURS\", "
                  "names or patterns with one * on both sides; nothing behind the = leaves a "
                  "tensor out.",
          .neutral = List{},
      },
      {
          .name = "weights_sha256",
          .type = Type::String,
          .fallback = "",
          .help = "SHA-256 of the file of weights; filled in. Who says it holds the file to it.",
          .neutral = "",
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

/// And where they may come from instead.
std::vector<Parameter> with_start(std::vector<Parameter> own) {
  auto parameters = model_parameters(std::move(own));
  parameters.push_back({
      .name = "from",
      .type = Type::Reference,
      .fallback = "",
      .help = "Start with what another experiment's matching control trained: { experiment = "
              "\"x.toml\" }. at: \"end\", a step, or { epochs = n }; select: values of what "
              "varies there, where they are not the same here; generated = true: not that "
              "state, but network number seeds.init of those which it generates.",
      .neutral = "",
  });
  return parameters;
}

std::string begins_twice(const std::map<std::string, Value>& parameters) {
  if (parameters.at("from") == Value("") || parameters.at("weights") == Value("")) return {};
  return "a network starts from a file of weights or from another experiment, not from both";
}

/// What the description of every built-in model has in common.
Component model(std::string name, std::string help, std::vector<Parameter> parameters,
                std::function<ModelParts(const Condition&)> parts) {
  return {
      .family = Family::Model,
      .name = std::move(name),
      .help = std::move(help),
      .parameters = with_start(std::move(parameters)),
      .parts = std::move(parts),
      .check = begins_twice,
  };
}

Component fixed_mlp(std::string name, const std::string& widths, std::size_t hidden) {
  return model(
      std::move(name),
      "Fully connected layers with hidden widths " + widths + " and ReLU; images are flattened.",
      {}, [hidden](const Condition&) { return mlp_parts(hidden); });
}

Component residual(std::string name, std::string help, const ResidualLayout& layout) {
  return model(std::move(name), std::move(help), {},
               [layout](const Condition&) { return residual_parts(layout); });
}

Component binomial() {
  return model("binomial",
               "The masses of a binomial distribution on bins 0, 1, 2, ...; its one parameter is "
               "the probability of success.",
               {count("total_count", 10, 1e6, "trials",
                      "What the bins count the successes of. Mass beyond the last bin is lost."),
                {
                    .name = "start",
                    .type = Type::Float,
                    .fallback = 0.5,
                    .help = "The probability at step 0; init draws nothing here.",
                    .least = 0,
                    .most = 1,
                    .above_least = true,
                    .below_most = true,
                }},
               binomial_parts);
}

Component flow() {
  auto flow = model(
      "flow",
      "A field over vectors and time, for task flow-matching: the time goes through two layers "
      "(GELU) and stands beside the vector; then layers of hidden_width, half of it, hidden_width "
      "(normalised, GELU) and as many outputs as the vector is long, which begin at zero.",
      {
          count("hidden_width", 512, kMostUnits, "units", "Of the widest layers; even."),
          count("embedding", 64, kMostUnits, "units", "Numbers that the time is turned into."),
          {
              .name = "dropout",
              .type = Type::Float,
              .fallback = 0.1,
              .help = "Share of units of the first two layers that are dropped in training, from "
                      "seeds.dropout.",
              .least = 0,
              .most = 1,
              .below_most = true,
          },
      },
      flow_parts);
  flow.check = [](const std::map<std::string, Value>& parameters) -> std::string {
    if (auto twice = begins_twice(parameters); !twice.empty()) return twice;
    const auto width = parameters.at("hidden_width").as_int();
    if (width % 2 == 0) return {};
    return "hidden_width = " + std::to_string(width) + " has no half: it must be even";
  };
  return flow;
}

Component vit() {
  auto vit = model(
      "vit",
      "Vision transformer: patches of the image and a class token, learned positions, blocks of "
      "attention and an MLP (GELU) that are normalised first, a linear layer on the class token.",
      {
          count("patch", 4, kMostUnits, "pixels",
                "Side of a square patch; must divide both sides of the image."),
          count("width", 192, kMostUnits, "units", "Of a token; a multiple of heads."),
          count("depth", 6, 1000, "blocks", "Blocks, one after the other."),
          count("heads", 3, 1024, "heads", "Attention heads of a block."),
          count("mlp_ratio", 4, 1000, "widths", "Hidden units of a block's MLP."),
          {
              .name = "dropout",
              .type = Type::Float,
              .fallback = 0.1,
              .help = "Share of units that are dropped in training, from seeds.dropout: after the "
                      "embedding and every layer but those of queries, keys and values.",
              .least = 0,
              .most = 1,
              .below_most = true,
          },
      },
      [](const Condition& condition) {
        return vit_parts(condition.integer("model.depth"), condition.integer("model.heads"));
      });
  vit.check = [](const std::map<std::string, Value>& parameters) -> std::string {
    if (auto twice = begins_twice(parameters); !twice.empty()) return twice;
    const auto width = parameters.at("width").as_int();
    const auto heads = parameters.at("heads").as_int();
    if (width % heads == 0) return {};
    return "width = " + std::to_string(width) +
           " is no multiple of heads = " + std::to_string(heads) +
           ": every head takes an equal share of it";
  };
  return vit;
}

}  // namespace

void add_models(Schema& schema) {
  auto mlp =
      model("mlp", "Fully connected layers with an activation between them; images are flattened.",
            {
                {
                    .name = "hidden",
                    .type = Type::IntList,
                    .fallback = List{128},
                    .help = "Widths of the hidden layers, first to last; [] is a linear "
                            "model.",
                    .unit = "units",
                    .least = 1,
                    .most = kMostUnits,
                },
                activation(),
            },
            [](const Condition& condition) {
              return mlp_parts(condition.at("model.hidden").as_list().size());
            });
  mlp.revision = 2;  // tiny layers by loops of our own
  schema.add(std::move(mlp));
  schema.add(model("lenet5",
                   "LeNet-5 for 28 x 28 images: 5 x 5 convolutions to 6 (padding 2) and 16 "
                   "channels, each with 2 x 2 max pooling, then layers of 120 and 84 units.",
                   {activation()}, lenet5_parts));
  schema.add(model("generator",
                   "Linear layers with LeakyReLU (slope 0.2) between them, from noise to points: "
                   "132,866 parameters from 2 to 2 coordinates.",
                   {count("width", 256, kMostUnits, "units", "Of a hidden layer."),
                    count("layers", 3, 1000, "layers", "Hidden layers.")},
                   [](const Condition& condition) {
                     return mlp_parts(static_cast<std::size_t>(condition.integer("model.layers")));
                   }));
  schema.add(model("normal",
                   "A normal distribution: mean + L noise, L a lower triangular matrix, so that "
                   "its covariance L L^T is one whatever the parameters are.",
                   {}, normal_parts));
  schema.add(binomial());
  schema.add(fixed_mlp("mlp-small", "256 and 128", 2));
  schema.add(fixed_mlp("mlp-medium", "512 and 256", 2));
  schema.add(fixed_mlp("mlp-large", "1024, 512 and 256", 3));
  schema.add(model("cnn",
                   "Three 3 x 3 convolutions to 32, 64 and 64 channels, each with ReLU and 2 x 2 "
                   "max pooling, then a linear layer.",
                   {}, cnn_parts));
  schema.add(
      residual("resnet18",
               "ResNet-18 for large images: 7 x 7 convolution with stride 2 and max pooling, "
               "then 2 blocks each of 64, 128, 256 and 512 channels; 11,181,642 parameters for 3 "
               "channels and 10 classes.",
               {.stages = 4, .blocks = 2, .large_stem = true}));
  schema.add(
      residual("resnet18-cifar",
               "ResNet-18 for small images: a 3 x 3 convolution with stride 1 and no pooling "
               "before the blocks; 11,173,962 parameters.",
               {.stages = 4, .blocks = 2}));
  schema.add(residual("resnet20",
                      "ResNet-20 for small images: 3 blocks each of 16, 32 and 64 channels, "
                      "shortcuts projected where the shape changes; 272,474 parameters.",
                      {.stages = 3, .blocks = 3}));
  schema.add(residual("resnet32", "ResNet-32: as resnet20 with 5 blocks each; 466,906 parameters.",
                      {.stages = 3, .blocks = 5}));
  schema.add(residual("plainnet20",
                      "The layers of resnet20 without its shortcuts; 269,722 parameters.",
                      {.stages = 3, .blocks = 3, .shortcuts = false}));
  schema.add(vit());
  schema.add(model("vit-lite",
                   "Vision transformer with the sizes of ViT-Lite-7/4 (Hassani et al., 2021): "
                   "patches of 4 x 4, width 256, 7 blocks of 4 heads, MLPs of 512 units, no "
                   "dropout.",
                   {}, [](const Condition&) { return vit_parts(7, 4); }));
  schema.add(flow());
}

}  // namespace perturb
