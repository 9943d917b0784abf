#include "perturb/train/layers.h"

#include <cmath>

#include "doctest_torch.h"
#include "perturb/core/error.h"

namespace perturb {
namespace {

struct Empty : Model {
  Tensor forward(const Tensor& inputs, Pass&) override { return inputs; }
};

/// Numbers without a pattern, in [-1, 1].
Tensor some(at::IntArrayRef shape, double seed) {
  const auto i = at::arange(c10::multiply_integers(shape), at::kDouble);
  return at::sin((i + seed).square() * 12.9898).to(at::kFloat).view(shape);
}

TEST_CASE("batch normalisation: the batch's statistics in training, the running ones otherwise") {
  Empty model;
  const BatchNorm norm(model, "norm", 2);
  const at::NoGradGuard no_gradients;
  const auto weight = at::tensor({0.5F, -2.0F}), bias = at::tensor({0.25F, 1.0F});
  model.parameters()[0].tensor.copy_(weight);
  model.parameters()[1].tensor.copy_(bias);
  const auto& mean = model.buffers()[0].tensor;
  const auto& variance = model.buffers()[1].tensor;
  CHECK(model.buffers()[0].name == "norm.running_mean");
  CHECK(model.buffers()[1].name == "norm.running_var");
  const auto column = [](const Tensor& values) { return values.view({1, 2, 1, 1}); };
  const auto normalised = [&](const Tensor& x, const Tensor& mu, const Tensor& var) {
    return (x - column(mu)) / (column(var) + 1e-5).sqrt() * column(weight) + column(bias);
  };

  auto expected_mean = at::zeros({2}), expected_variance = at::ones({2});
  const auto training = Pass::training(0, 0), evaluation = Pass::evaluation();
  for (const double seed : {0.0, 0.5}) {
    const auto x = 3 * some({4, 2, 3, 3}, seed) + 1;
    const auto mu = x.mean({0, 2, 3}), biased = x.var({0, 2, 3}, /*unbiased=*/false);
    CHECK(at::allclose(norm(x, training), normalised(x, mu, biased), 1e-5, 1e-5));
    expected_mean = 0.9 * expected_mean + 0.1 * mu;
    expected_variance = 0.9 * expected_variance + 0.1 * x.var({0, 2, 3}, /*unbiased=*/true);
    CHECK(at::allclose(mean, expected_mean, 1e-5, 1e-6));
    CHECK(at::allclose(variance, expected_variance, 1e-5, 1e-6));

    const auto before = mean.clone();
    CHECK(at::allclose(norm(x, evaluation), normalised(x, mean, variance), 1e-5, 1e-5));
    CHECK(at::equal(mean, before));
  }

  // One value has no variance; the running statistics stay what they were.
  const auto before = variance.clone();
  CHECK_THROWS_AS(norm(at::ones({1, 2, 1, 1}), training), Error);
  CHECK(at::equal(variance, before));
  CHECK_NOTHROW(norm(at::ones({1, 2, 1, 1}), evaluation));
  CHECK_NOTHROW(norm(at::ones({2, 2, 1, 1}), training));
}

TEST_CASE("layer normalisation works on each row by itself") {
  Empty model;
  const LayerNorm norm(model, "norm", 5);
  const at::NoGradGuard no_gradients;
  const auto weight = some({5}, 1), bias = some({5}, 2);
  model.parameters()[0].tensor.copy_(weight);
  model.parameters()[1].tensor.copy_(bias);
  const auto x = 3 * some({2, 3, 5}, 0) + 1;
  const auto mean = x.mean(-1, /*keepdim=*/true);
  const auto variance = x.var(-1, /*unbiased=*/false, /*keepdim=*/true);
  const auto expected = (x - mean) / (variance + 1e-5).sqrt() * weight + bias;
  CHECK(at::allclose(norm(x), expected, 1e-5, 1e-5));
}

TEST_CASE("attention treats tokens alike, and heads by themselves") {
  const auto qkv = some({2, 4, 3 * 6}, 0);
  const auto mixed = attention(qkv, /*heads=*/3);
  CHECK(mixed.sizes() == at::IntArrayRef({2, 4, 6}));
  const auto order = at::tensor({2, 0, 3, 1}, at::kLong);
  CHECK(at::allclose(attention(qkv.index_select(1, order), 3), mixed.index_select(1, order)));

  // The second of three heads, d = 2, from the formula.
  const auto part = [&](std::int64_t which) { return qkv.narrow(2, 6 * which + 2, 2); };
  const auto scores = at::matmul(part(0), part(1).transpose(1, 2)) / std::sqrt(2.0);
  CHECK(at::allclose(mixed.narrow(2, 2, 2), at::matmul(at::softmax(scores, -1), part(2)), 1e-5,
                     1e-6));
}

TEST_CASE("which units are dropped belongs to the stream, the step and the point") {
  const auto kept = [](const Pass& pass, const char* point) {
    return pass.dropout(point, at::ones({256}), 0.5);
  };
  const auto first = kept(Pass::training(3, 7), "a");
  CHECK(at::equal(kept(Pass::training(3, 7), "a"), first));
  CHECK_FALSE(at::equal(kept(Pass::training(3, 7), "b"), first));
  CHECK_FALSE(at::equal(kept(Pass::training(3, 8), "a"), first));
  CHECK_FALSE(at::equal(kept(Pass::training(4, 7), "a"), first));
  CHECK(at::equal(kept(Pass::evaluation(), "a"), at::ones({256})));
}

TEST_CASE("a convolution without bias has none, and padding is never the largest") {
  Empty model;
  const Convolution plain(model, "plain", {.in = 1, .out = 2, .padding = 1, .bias = false});
  CHECK(model.parameters().size() == 1);
  CHECK(at::equal(plain(at::ones({1, 1, 4, 4})), at::zeros({1, 2, 4, 4})));

  const auto x = at::arange(-25, 0).to(at::kFloat).view({1, 1, 5, 5});
  const auto pooled = max_pool(x, {.kernel = 3, .stride = 2, .padding = 1});
  const auto expected =
      at::tensor({-19.0F, -17.0F, -16.0F, -9.0F, -7.0F, -6.0F, -4.0F, -2.0F, -1.0F});
  CHECK(at::equal(pooled.flatten(), expected));
}

TEST_CASE("units may be counted by buffers, and what does not fit is refused") {
  Empty model;
  const BatchNorm norm(model, "norm", 3);
  CHECK_NOTHROW(model.add_unit_group({"norm", 3, {{"norm.weight"}, {"norm.running_var"}}}));
  CHECK_THROWS_AS(model.add_unit_group({"norm", 4, {{"norm.running_var"}}}), Error);
  CHECK_THROWS_AS(model.add_unit_group({"norm", 3, {{"norm.running_var", 1}}}), Error);
  CHECK_THROWS_AS(model.add_unit_group({"norm", 3, {{"norm.running"}}}), Error);
}

}  // namespace
}  // namespace perturb
