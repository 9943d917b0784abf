#include <ATen/ATen.h>

#include "builtin/models/models.h"
#include "perturb/train/layers.h"

namespace perturb {
namespace {

/// Three 3 x 3 convolutions to 32, 64 and 64 channels, each with ReLU and 2 x 2 max pooling, and a
/// linear layer.
class Cnn final : public Model {
 public:
  explicit Cnn(const DataShape& shape)
      : conv1_(*this, "conv1", {.in = shape.input[0], .out = 32, .padding = 1}),
        conv2_(*this, "conv2", {.in = 32, .out = 64, .padding = 1}),
        conv3_(*this, "conv3", {.in = 64, .out = 64, .padding = 1}),
        fc_(*this, "fc", 64 * pixels(shape), shape.classes) {
    add_unit_group({"conv1", 32, {{"conv1.weight"}, {"conv1.bias"}, {"conv2.weight", 1}}});
    add_unit_group({"conv2", 64, {{"conv2.weight"}, {"conv2.bias"}, {"conv3.weight", 1}}});
    add_unit_group(
        {"conv3", 64, {{"conv3.weight"}, {"conv3.bias"}, {"fc.weight", 1, pixels(shape)}}});
  }

  /// The shortest side of which something is left.
  static constexpr std::int64_t kLeast = 8;

  Tensor forward(const Tensor& inputs, Pass& pass) override {
    // Pooling before the activation, as in LeNet-5: the same values, at a quarter of the work.
    auto h = pass("pool1", max_pool(pass("conv1", conv1_(inputs))));
    h = pass("act1", at::relu(h));
    h = pass("pool2", max_pool(pass("conv2", conv2_(h))));
    h = pass("act2", at::relu(h));
    h = pass("pool3", max_pool(pass("conv3", conv3_(h))));
    h = pass("act3", at::relu(h));
    return pass("fc", fc_(h.flatten(1)));
  }

 private:
  /// Of a channel after the third pooling: 3 x 3 of 28 x 28.
  static std::int64_t pixels(const DataShape& shape) {
    return (shape.input[1] / 8) * (shape.input[2] / 8);
  }

  Convolution conv1_, conv2_, conv3_;
  Linear fc_;
};

std::unique_ptr<Model> make_cnn(const Condition& condition, const DataShape& shape) {
  require_images(condition, shape, Cnn::kLeast);
  return std::make_unique<Cnn>(shape);
}

}  // namespace

void add_cnn(Registries& registries) { registries.models.add("cnn", initialised<make_cnn>); }

}  // namespace perturb
