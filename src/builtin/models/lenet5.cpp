#include <ATen/ATen.h>

#include "builtin/models/models.h"
#include "perturb/train/layers.h"

namespace perturb {
namespace {

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

  /// The shortest side of which something is left.
  static constexpr std::int64_t kLeast = 12;

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
  /// What is left of a side of the image after both convolutions: 5 of 28.
  static std::int64_t pooled(std::int64_t side) { return (side / 2 - 4) / 2; }

  Activation act_;
  Convolution conv1_, conv2_;
  Linear fc1_, fc2_, fc3_;
};

std::unique_ptr<Model> make_lenet5(const Condition& condition, const DataShape& shape) {
  require_images(condition, shape, LeNet5::kLeast);
  return std::make_unique<LeNet5>(shape, activation(condition.text("model.activation")));
}

}  // namespace

void add_lenet5(Registries& registries) {
  registries.models.add("lenet5", initialised<make_lenet5>);
}

}  // namespace perturb
