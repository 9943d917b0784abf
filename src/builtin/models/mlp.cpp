#include <cstddef>
#include <string>
#include <utility>
#include <vector>

#include <ATen/ATen.h>

#include "builtin/models/models.h"
#include "perturb/train/layers.h"
#include "perturb/train/quick.h"
#include "perturb/train/small_linear.h"

namespace perturb {
namespace {

using Widths = std::vector<std::int64_t>;

/// Fully connected layers fc1, fc2, ..., with an activation between them. Where all layers are tiny
/// their arithmetic is our own (small_linear.h), whichever way it is asked for.
class Mlp final : public Model, public Quick {
 public:
  /// `is_relu`: whether `act` is at::relu.
  Mlp(const DataShape& shape, const Widths& hidden, Activation act, bool is_relu)
      : act_(act), is_relu_(is_relu) {
    Widths widths = {1};
    for (const auto extent : shape.input) widths[0] *= extent;
    widths.insert(widths.end(), hidden.begin(), hidden.end());
    widths.push_back(shape.classes);
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
    for (std::size_t i = 0; i < layers_.size(); ++i) small_ = small_ && is_small(weight(i));
  }

  Tensor forward(const Tensor& inputs, Pass& pass) override {
    auto h = inputs.flatten(1);
    const bool small = small_ && weight(0).is_cpu();
    for (std::size_t i = 0; i < layers_.size(); ++i) {
      const auto& [linear, name, act_name] = layers_[i];
      h = pass(name, small ? small_linear(h, weight(i), bias(i)) : linear(h));
      if (i + 1 < layers_.size()) h = pass(act_name, act_(h));
    }
    return h;
  }

  Tensor quick_forward(const Tensor& inputs) override {
    if (!small_ || !is_relu_ || !weight(0).is_cpu()) return {};
    const at::AutoDispatchBelowADInplaceOrView no_history;
    inputs_of_.clear();
    auto h = inputs.flatten(1).contiguous();
    for (std::size_t i = 0; i < layers_.size(); ++i) {
      inputs_of_.push_back(h);
      h = small_forward(h, weight(i), bias(i));
      if (i + 1 < layers_.size()) h = at::relu_(h);
    }
    return h;
  }

  void quick_backward(const Tensor& slopes) override {
    const at::AutoDispatchBelowADInplaceOrView no_history;
    auto h = slopes.contiguous();
    for (std::size_t i = layers_.size(); i-- > 0;) {
      h = small_backward(inputs_of_[i], weight(i), h, weight(i).grad(), bias(i).grad(),
                         /*wants_x=*/i > 0);
      // What came out of relu is positive where what went in is.
      if (i > 0) h = at::threshold_backward(h, inputs_of_[i], 0);
    }
    inputs_of_.clear();
  }

 private:
  const Tensor& weight(std::size_t layer) const { return parameters()[2 * layer].tensor; }
  const Tensor& bias(std::size_t layer) const { return parameters()[2 * layer + 1].tensor; }

  struct Layer {
    Linear linear;
    std::string name, act_name;
  };
  std::vector<Layer> layers_;
  Activation act_;
  bool is_relu_;
  bool small_ = true;
  std::vector<Tensor> inputs_of_;  ///< of each layer, from quick_forward to quick_backward
};

std::unique_ptr<Model> make_mlp(const Condition& condition, const DataShape& shape) {
  Widths hidden;
  for (const auto& width : condition.at("model.hidden").as_list()) hidden.push_back(width.as_int());
  const auto& act = condition.text("model.activation");
  return std::make_unique<Mlp>(shape, hidden, activation(act), act == "relu");
}

template <std::int64_t... hidden>
std::unique_ptr<Model> make_fixed(const Condition&, const DataShape& shape) {
  return std::make_unique<Mlp>(shape, Widths{hidden...}, activation("relu"), true);
}

/// Radford, Metz, Chintala: Unsupervised representation learning with deep convolutional
/// generative adversarial networks (2016), section 3, for this slope.
Tensor leaky_relu(const Tensor& x) { return at::leaky_relu(x, 0.2); }

std::unique_ptr<Model> make_generator(const Condition& condition, const DataShape& shape) {
  const Widths hidden(static_cast<std::size_t>(condition.integer("model.layers")),
                      condition.integer("model.width"));
  return std::make_unique<Mlp>(shape, hidden, leaky_relu, /*is_relu=*/false);
}

}  // namespace

void add_mlps(Registries& registries) {
  registries.models.add("mlp", initialised<make_mlp>);
  registries.models.add("generator", initialised<make_generator>);
  registries.models.add("mlp-small", initialised<make_fixed<256, 128>>);
  registries.models.add("mlp-medium", initialised<make_fixed<512, 256>>);
  registries.models.add("mlp-large", initialised<make_fixed<1024, 512, 256>>);
}

}  // namespace perturb
