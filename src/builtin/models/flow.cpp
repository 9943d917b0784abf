#include <ATen/ATen.h>

#include "builtin/models/models.h"
#include "perturb/core/error.h"
#include "perturb/train/layers.h"

namespace perturb {
namespace {

/// The field of a flow over vectors, as DeepWeightFlow has it (2026, appendix B).
class Flow final : public Model {
 public:
  Flow(std::int64_t width, std::int64_t hidden, std::int64_t embedding, double dropout)
      : width_(width),
        dropout_(dropout),
        time1_(*this, "time1", 1, embedding),
        time2_(*this, "time2", embedding, embedding),
        fc1_(*this, "fc1", width + embedding, hidden),
        norm1_(*this, "norm1", hidden),
        fc2_(*this, "fc2", hidden, hidden / 2),
        norm2_(*this, "norm2", hidden / 2),
        fc3_(*this, "fc3", hidden / 2, hidden),
        norm3_(*this, "norm3", hidden),
        fc4_(*this, "fc4", hidden, width) {
    add_unit_group({"time1", embedding, {{"time1.weight"}, {"time1.bias"}, {"time2.weight", 1}}});
    add_unit_group({"time2",
                    embedding,
                    {{"time2.weight"}, {"time2.bias"}, {"fc1.weight", 1, /*block=*/1, width}}});
    add_layer("1", hidden, "fc2");
    add_layer("2", hidden / 2, "fc3");
    add_layer("3", hidden, "fc4");
  }

  /// (n, width + 1): points, and behind each its time. Gives velocities (n, width).
  Tensor forward(const Tensor& inputs, Pass& pass) override {
    if (inputs.dim() != 2 || inputs.size(1) != width_ + 1)
      throw Error(ExitCode::Usage, "a flow takes points with a time behind each",
                  "task.kind = \"flow-matching\" trains flows");
    const auto x = inputs.narrow(1, 0, width_);
    auto t = pass("time1", time1_(inputs.narrow(1, width_, 1)));
    t = pass("time2", time2_(pass("time_act", at::gelu(t))));
    auto h = pass("fc1", fc1_(at::cat({x, t}, 1)));
    h = pass.dropout("act1", pass("act1", at::gelu(pass("norm1", norm1_(h)))), dropout_);
    h = pass("fc2", fc2_(h));
    h = pass.dropout("act2", pass("act2", at::gelu(pass("norm2", norm2_(h)))), dropout_);
    h = pass("fc3", fc3_(h));
    h = pass("act3", at::gelu(pass("norm3", norm3_(h))));
    return pass("fc4", fc4_(h));
  }

 private:
  void add_layer(const std::string& number, std::int64_t units, const std::string& next) {
    add_unit_group({"fc" + number,
                    units,
                    {{"fc" + number + ".weight"},
                     {"fc" + number + ".bias"},
                     {"norm" + number + ".weight"},
                     {"norm" + number + ".bias"},
                     {next + ".weight", 1}}});
  }

  std::int64_t width_;
  double dropout_;
  Linear time1_, time2_, fc1_;
  LayerNorm norm1_;
  Linear fc2_;
  LayerNorm norm2_;
  Linear fc3_;
  LayerNorm norm3_;
  Linear fc4_;
};

std::unique_ptr<Model> make_flow(const Condition& condition, const DataShape& shape) {
  std::int64_t width = 1;
  for (const auto extent : shape.input) width *= extent;
  auto model = std::make_unique<Flow>(width, condition.integer("model.hidden_width"),
                                      condition.integer("model.embedding"),
                                      condition.number("model.dropout"));
  initialise(*model, condition);
  // It begins as the field that moves nothing.
  const at::NoGradGuard no_gradients;
  for (const auto& parameter : model->parameters()) {
    if (parameter.name.starts_with("fc4.")) parameter.tensor.zero_();
  }
  return model;
}

}  // namespace

void add_flows(Registries& registries) { registries.models.add("flow", make_flow); }

}  // namespace perturb
