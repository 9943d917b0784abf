#include <cmath>
#include <numbers>
#include <set>

#include "doctest_torch.h"
#include "perturb/train/initialise.h"
#include "perturb/train/model.h"
#include "train/declared.h"

namespace perturb {
namespace {

constexpr auto kLeNet = R"(
  name = "lenet"
  task.kind = "classification"
  model = { kind = "lenet5" }
  data.kind = "fashion-mnist"
  optimizer = { kind = "sgd", lr = 0.1 }
)";
const DataShape kGrey = {.input = {1, 28, 28}, .classes = 10};

std::unique_ptr<Model> lenet() {
  static const auto condition = declared(kLeNet).trial(0).condition;
  return builtins().models.at("lenet5")(condition, kGrey);
}

std::unique_ptr<Model> initialised(const InitOptions& options, std::uint64_t seed = 0) {
  auto model = lenet();
  initialise(*model, options, seed);
  return model;
}

TEST_CASE("LeNet-5 has 61,706 parameters in the order of its layers") {
  const auto model = lenet();
  std::int64_t count = 0;
  for (const auto& parameter : model->parameters()) count += parameter.tensor.numel();
  CHECK(count == 61706);
  CHECK(model->parameters().front().name == "conv1.weight");
  CHECK(model->parameters().back().name == "fc3.bias");
}

TEST_CASE("LeNet-5 computes what PyTorch computes with the same weights") {
  const auto model = lenet();
  const at::NoGradGuard no_gradients;
  int place = 0;
  std::int64_t fan_in = 1;
  for (const auto& parameter : model->parameters()) {
    if (parameter.tensor.dim() > 1) fan_in = parameter.tensor[0].numel();
    const auto values = at::sin(at::arange(parameter.tensor.numel(), at::kDouble) + place++) /
                        std::sqrt(static_cast<double>(fan_in));
    parameter.tensor.copy_(values.view(parameter.tensor.sizes()));
  }
  const auto images =
      at::arange(2 * 28 * 28).remainder(256).to(at::kFloat).div(255).view({2, 1, 28, 28});
  auto pass = Pass::evaluation();
  const auto outputs = model->forward(images, pass);

  // tests/reference/lenet.py
  const auto expected = at::tensor(
      {0.16662243,  -0.27500582, 0.06252728,  -0.07632852, -0.10160463, 0.32640475, -0.07852550,
       -0.04643674, 0.06501390,  -0.29800239, 0.16567728,  -0.27299777, 0.06074137, -0.07590764,
       -0.10039111, 0.32433349,  -0.07692195, -0.04654634, 0.06355940,  -0.29591462},
      at::kFloat);
  CHECK(at::allclose(outputs.flatten(), expected, 0, 1e-5));
}

TEST_CASE("a probe sees every point and may replace what it sees") {
  struct Zero final : Probe {
    Tensor at(std::string_view point, const Tensor& value) override {
      return point == "act4" ? at::zeros_like(value) : value;
    }
  };
  const auto model = lenet();
  const auto images = at::arange(3 * 784).remainder(251).to(at::kFloat).view({3, 1, 28, 28});
  const auto names = point_names(*model, images);
  CHECK(names == std::vector<std::string>{"conv1", "pool1", "act1", "conv2", "pool2", "act2", "fc1",
                                          "act3", "fc2", "act4", "fc3"});
  Zero zero;
  auto pass = Pass::evaluation();
  pass.add(zero);
  const auto outputs = model->forward(images, pass);
  // Nothing arrives at the last layer: its bias is all that is left.
  const auto& bias = model->parameters().back().tensor;
  CHECK(at::allclose(outputs, bias.expand_as(outputs)));
}

TEST_CASE("dropout keeps the mean, is addressed, and is off in evaluation") {
  const auto ones = at::ones({100, 100});
  const auto dropped = [&](std::uint64_t seed, std::int64_t step, const char* point) {
    return Pass::training(seed, step).dropout(point, ones, 0.25);
  };
  const auto once = dropped(0, 0, "h");
  // 10,000 units: the share that is dropped has a standard error of 0.0043.
  CHECK(once.eq(0).to(at::kFloat).mean().item<double>() == doctest::Approx(0.25).epsilon(0.1));
  CHECK(once.max().item<double>() == doctest::Approx(1 / 0.75));
  CHECK(at::equal(once, dropped(0, 0, "h")));
  CHECK_FALSE(at::equal(once, dropped(1, 0, "h")));
  CHECK_FALSE(at::equal(once, dropped(0, 1, "h")));
  CHECK_FALSE(at::equal(once, dropped(0, 0, "k")));
  CHECK(at::equal(Pass::evaluation().dropout("h", ones, 0.25), ones));
}

/// Law of the draws of `p`: they fill (-bound, bound) and have the variance of a uniform one.
void check_uniform(const ModelParameter& p, double bound) {
  const auto values = p.tensor.detach().to(at::kDouble);
  CHECK(values.abs().max().item<double>() <= bound * (1 + 1e-6));
  if (p.tensor.numel() < 1000) return;
  // 1,000 draws or more: extremes within 1 %, the deviation within 5 standard errors of 1.4 %.
  CHECK(values.max().item<double>() > 0.99 * bound);
  CHECK(values.min().item<double>() < -0.99 * bound);
  CHECK(values.std().item<double>() == doctest::Approx(bound / std::sqrt(3.0)).epsilon(0.07));
}

TEST_CASE("kaiming-uniform is LibTorch's default") {
  const auto model = initialised({.scheme = "kaiming-uniform"});
  for (const auto& p : model->parameters()) {
    check_uniform(p, 1 / std::sqrt(static_cast<double>(p.fan_in)));
    CHECK(p.tensor.abs().max().item<double>() > 0);
  }
}

TEST_CASE("he, xavier and uniform: bounds, and zero biases") {
  for (const std::string scheme : {"he", "xavier", "uniform"}) {
    for (const double gain : {1.0, 0.5}) {
      const auto model = initialised({.scheme = scheme, .gain = gain, .bound = 0.3});
      for (const auto& p : model->parameters()) {
        const auto fan_in = static_cast<double>(p.fan_in);
        const double fans = fan_in + static_cast<double>(p.fan_out);
        const double bound = scheme == "he"       ? std::sqrt(6 / fan_in)
                             : scheme == "xavier" ? std::sqrt(6 / fans)
                                                  : 0.3;
        check_uniform(p, p.role == Role::Bias ? 0 : gain * bound);
      }
    }
  }
}

TEST_CASE("normal: deviation, and zero biases") {
  const auto model = initialised({.scheme = "normal", .std = 0.02});
  for (const auto& p : model->parameters()) {
    if (p.role == Role::Bias) CHECK(p.tensor.abs().max().item<double>() == 0);
    if (p.role != Role::Weight || p.tensor.numel() < 1000) continue;
    CHECK(p.tensor.std().item<double>() == doctest::Approx(0.02).epsilon(0.12));
  }
}

TEST_CASE("flattened-kaiming-he: every weight has exactly its norm") {
  for (const double gain : {1.0, 2.0}) {
    const auto model = initialised({.scheme = "flattened-kaiming-he", .gain = gain});
    for (const auto& p : model->parameters()) {
      const double norm = p.tensor.to(at::kDouble).norm().item<double>();
      const auto fan_in = static_cast<double>(p.fan_in), fan_out = static_cast<double>(p.fan_out);
      const double expected =
          std::sqrt(fan_in * fan_out) * std::numbers::sqrt2 * gain / std::sqrt(fan_in);
      // Rounding to float32 is all that is between them.
      CHECK(norm == doctest::Approx(p.role == Role::Weight ? expected : 0).epsilon(1e-6));
    }
  }
}

TEST_CASE("initial values depend on the seed and the parameter's name alone") {
  const auto a = initialised({}), again = initialised({}), other = initialised({}, 1);
  std::set<float> first;
  for (std::size_t i = 0; i < a->parameters().size(); ++i) {
    const auto& tensor = a->parameters()[i].tensor;
    CHECK(at::equal(tensor, again->parameters()[i].tensor));
    CHECK_FALSE(at::equal(tensor, other->parameters()[i].tensor));
    first.insert(tensor.flatten()[0].item<float>());
  }
  CHECK(first.size() == a->parameters().size());
}

}  // namespace
}  // namespace perturb
