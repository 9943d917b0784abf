#include <cmath>
#include <limits>

#include "doctest_torch.h"
#include "perturb/core/name_pattern.h"
#include "perturb/core/random.h"
#include "perturb/core/registry.h"
#include "perturb/train/draw.h"
#include "perturb/train/flat_state.h"
#include "perturb/train/layers.h"
#include "train/finite_watch.h"

namespace perturb {
namespace {

TEST_CASE("a star in a pattern stands for any characters") {
  CHECK(matches("*", "conv1.weight"));
  CHECK(matches("conv1.*", "conv1.weight"));
  CHECK(matches("*.weight", "conv1.weight"));
  CHECK(matches("c*1.*t", "conv1.weight"));
  CHECK(matches("conv1.weight", "conv1.weight"));
  CHECK(matches("*weight*", "conv1.weight"));
  CHECK_FALSE(matches("conv1", "conv1.weight"));
  CHECK_FALSE(matches("*.bias", "conv1.weight"));
  CHECK_FALSE(matches("", "w"));
  CHECK(matches("", ""));
  CHECK(matches("**", ""));
  // Many stars against a long name that nearly matches: no exponential search.
  CHECK_FALSE(matches("*a*a*a*a*a*a*a*a*a*b", std::string(10000, 'a')));
}

TEST_CASE("a registry knows its names, and only one factory a name") {
  Registry<int> registry("thing");
  registry.add("b", 2);
  registry.add("a", 1);
  CHECK(registry.names() == std::vector<std::string>{"a", "b"});
  CHECK(registry.at("b") == 2);
  CHECK_THROWS_AS(registry.add("a", 3), Error);
  CHECK_THROWS_AS(registry.at("c"), Error);
}

struct Two final : Model {
  Two() : a(*this, "a", 3, 2), b(*this, "b", 2, 2) {
    mean = add_buffer("mean", at::full({2}, 7.0F));
  }
  Tensor forward(const Tensor& inputs, Pass&) override { return b(a(inputs)) + mean; }
  Linear a, b;
  Tensor mean;
};

TEST_CASE("the model's tensors are views of the flat state, both ways") {
  Two model;
  {
    const at::NoGradGuard no_gradients;
    for (const auto& parameter : model.parameters()) parameter.tensor.fill_(1);
  }
  FlatState state({&model}, at::kCPU);
  CHECK(state.parameters().numel() == 3 * 2 + 2 + 2 * 2 + 2);
  CHECK(at::equal(state.parameters(), at::ones({14})));
  CHECK(at::equal(state.buffers(), at::full({2}, 7.0F)));
  CHECK(state.layout()[2].name == "b.weight");
  CHECK(state.layout()[2].offset == 8);

  state.parameters().fill_(2);
  state.buffers().fill_(0);
  auto pass = Pass::evaluation();
  const auto outputs = model.forward(at::ones({1, 3}), pass);
  CHECK(outputs[0][0].item<float>() == 2 * (2 * 3 + 2) * 2 + 2);

  outputs.sum().backward();
  const auto once = state.gradients().clone();
  CHECK(once.abs().sum().item<float>() > 0);
  model.forward(at::ones({1, 3}), pass).sum().backward();
  CHECK(at::equal(state.gradients(), 2 * once));
}

TEST_CASE("names of parameters are unique within a state") {
  Two one, other;
  CHECK_THROWS_AS(FlatState({&one, &other}, at::kCPU), Error);
  CHECK_THROWS_AS(one.add_parameter("a.weight", {1}, Role::Weight, 1, 1), Error);
}

TEST_CASE("the watch finds the first loss or parameter that is not finite") {
  const auto good = at::ones({3});
  auto bad = good.clone();
  bad[1] = std::numeric_limits<float>::infinity();
  const auto loss = at::full({}, 0.5F);

  FiniteWatch watch(/*on_cpu=*/false);
  for (int i = 0; i < 5; ++i) watch.add(loss, good);
  CHECK_FALSE(watch.first_not_finite());
  CHECK(watch.last_loss() == 0.5F);

  watch.add(loss, good);
  watch.add(loss, bad);
  watch.add(loss, good);
  CHECK(watch.first_not_finite() == 2);
  CHECK_FALSE(watch.first_not_finite());

  watch.add(at::full({}, std::nanf("")), good);
  CHECK(watch.first_not_finite() == 1);
  CHECK(FiniteWatch(true).is_full() == false);
}

TEST_CASE("drawn tensors are the stream's numbers in order") {
  Random one(3, "purpose", 4), other(3, "purpose", 4);
  const auto normal = draw_normal(one, {2, 3});
  for (int i = 0; i < 6; ++i) CHECK(normal.flatten()[i].item<float>() == other.normal());
  Random third(0, "order", 1), fourth(0, "order", 1);
  const auto order = draw_order(third, 10);
  const auto expected = fourth.permutation(10);
  CHECK(at::equal(order, at::tensor(expected, at::kLong)));
}

}  // namespace
}  // namespace perturb
