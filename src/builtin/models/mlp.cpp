#include <cstddef>
#include <string>
#include <utility>
#include <vector>

#include <ATen/ATen.h>

#include "builtin/models/models.h"
#include "perturb/train/layers.h"

namespace perturb {
namespace {

using Widths = std::vector<std::int64_t>;

/// Fully connected layers fc1, fc2, ..., with an activation between them.
class Mlp final : public Model {
 public:
  Mlp(const DataShape& shape, const Widths& hidden, Activation act) : act_(act) {
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

std::unique_ptr<Model> make_mlp(const Condition& condition, const DataShape& shape) {
  Widths hidden;
  for (const auto& width : condition.at("model.hidden").as_list()) hidden.push_back(width.as_int());
  return std::make_unique<Mlp>(shape, hidden, activation(condition.text("model.activation")));
}

template <std::int64_t... hidden>
std::unique_ptr<Model> make_fixed(const Condition&, const DataShape& shape) {
  return std::make_unique<Mlp>(shape, Widths{hidden...}, activation("relu"));
}

/// Radford, Metz, Chintala: Unsupervised representation learning with deep convolutional
/// generative adversarial networks (2016), section 3, for this slope.
Tensor leaky_relu(const Tensor& x) { return at::leaky_relu(x, 0.2); }

std::unique_ptr<Model> make_generator(const Condition& condition, const DataShape& shape) {
  const Widths hidden(static_cast<std::size_t>(condition.integer("model.layers")),
                      condition.integer("model.width"));
  return std::make_unique<Mlp>(shape, hidden, leaky_relu);
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
