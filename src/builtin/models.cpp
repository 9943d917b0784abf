#include <cstddef>
#include <string>
#include <utility>

#include <ATen/ATen.h>

#include "builtin/builtins.h"
#include "perturb/train/dataset.h"
#include "perturb/train/initialise.h"
#include "perturb/train/layers.h"
#include "perturb/train/model.h"

namespace perturb {
namespace {

/// Fully connected layers fc1, fc2, ..., with an activation between them.
class Mlp final : public Model {
 public:
  Mlp(std::vector<std::int64_t> widths, Activation act) : act_(act) {
    for (std::size_t i = 1; i < widths.size(); ++i) {
      const auto number = std::to_string(i);
      layers_.push_back(
          {Linear(*this, "fc" + number, widths[i - 1], widths[i]), "fc" + number, "act" + number});
    }
    for (std::size_t i = 1; i + 1 < widths.size(); ++i) {
      const auto name = layers_[i - 1].name;
      add_unit_group({name,
                      widths[i],
                      {{name + ".weight"}, {name + ".bias"}, {layers_[i].name + ".weight", 1}}});
    }
  }

  Tensor forward(const Tensor& inputs, Pass& pass) override {
    auto h = inputs.flatten(1);
    for (const auto& [linear, name, act_name] : layers_) {
      h = pass(name, linear(h));
      if (&linear != &layers_.back().linear) h = pass(act_name, act_(h));
    }
    return h;
  }

 private:
  struct Layer {
    Linear linear;
    std::string name, act_name;
  };
  std::vector<Layer> layers_;
  Activation act_;
};

/// LeCun, Bottou, Bengio, Haffner: Gradient-based learning applied to document recognition
/// (1998), with what has become usual: max pooling, all channels connected, softmax outputs.
class LeNet5 final : public Model {
 public:
  LeNet5(const DataShape& shape, Activation act)
      : act_(act),
        conv1_(*this, "conv1", {.in = shape.input[0], .out = 6, .kernel = 5, .padding = 2}),
        conv2_(*this, "conv2", {.in = 6, .out = 16, .kernel = 5}),
        fc1_(*this, "fc1", 16 * pooled(shape.input[1]) * pooled(shape.input[2]), 120),
        fc2_(*this, "fc2", 120, 84),
        fc3_(*this, "fc3", 84, shape.classes) {
    const auto pixels = pooled(shape.input[1]) * pooled(shape.input[2]);
    add_unit_group({"conv1", 6, {{"conv1.weight"}, {"conv1.bias"}, {"conv2.weight", 1}}});
    add_unit_group({"conv2", 16, {{"conv2.weight"}, {"conv2.bias"}, {"fc1.weight", 1, pixels}}});
    add_unit_group({"fc1", 120, {{"fc1.weight"}, {"fc1.bias"}, {"fc2.weight", 1}}});
    add_unit_group({"fc2", 84, {{"fc2.weight"}, {"fc2.bias"}, {"fc3.weight", 1}}});
  }

  /// What is left of a side of the image after both convolutions: 5 of 28.
  static std::int64_t pooled(std::int64_t side) { return (side / 2 - 4) / 2; }

  Tensor forward(const Tensor& inputs, Pass& pass) override {
    // Pooling before the activation: for an increasing one the same values, at a quarter of
    // the work.
    auto h = pass("pool1", max_pool(pass("conv1", conv1_(inputs))));
    h = pass("act1", act_(h));
    h = pass("pool2", max_pool(pass("conv2", conv2_(h))));
    h = pass("act2", act_(h));
    h = pass("act3", act_(pass("fc1", fc1_(h.flatten(1)))));
    h = pass("act4", act_(pass("fc2", fc2_(h))));
    return pass("fc3", fc3_(h));
  }

 private:
  Activation act_;
  Convolution conv1_, conv2_;
  Linear fc1_, fc2_, fc3_;
};

std::unique_ptr<Model> make_mlp(const Condition& condition, const DataShape& shape) {
  std::vector<std::int64_t> widths = {1};
  for (const auto extent : shape.input) widths[0] *= extent;
  for (const auto& width : condition.at("model.hidden").as_list()) widths.push_back(width.as_int());
  widths.push_back(shape.classes);
  return std::make_unique<Mlp>(std::move(widths), activation(condition.text("model.activation")));
}

std::unique_ptr<Model> make_lenet5(const Condition& condition, const DataShape& shape) {
  const auto& input = shape.input;
  if (input.size() != 3 || LeNet5::pooled(input[1]) < 1 || LeNet5::pooled(input[2]) < 1) {
    throw Error(ExitCode::Usage,
                "lenet5 takes images of 12 x 12 pixels or more, which the examples of " +
                    condition.text("data.kind") + " are not",
                "use another model, such as mlp, or image data");
  }
  return std::make_unique<LeNet5>(shape, activation(condition.text("model.activation")));
}

template <auto make>
std::unique_ptr<Model> initialised(const Condition& condition, const DataShape& shape) {
  auto model = make(condition, shape);
  initialise(*model, condition);
  return model;
}

}  // namespace

void add_models(Registries& registries) {
  registries.models.add("mlp", initialised<make_mlp>);
  registries.models.add("lenet5", initialised<make_lenet5>);
}

}  // namespace perturb
