#include "perturb/weights/weights.h"

#include "doctest_torch.h"
#include "perturb/core/error.h"
#include "weights/networks.h"

namespace perturb::weights {
namespace {

const Mlp kMlp{{3, 5, 4, 2}};

TEST_CASE("a vector holds the tensors of a layout, and gives them back") {
  const auto network = kMlp.random(0);
  const Layout layout = {{"fc2.weight", {4, 5}}, {"fc1.bias", {5}}};
  CHECK(length(layout) == 25);
  const auto vector = flattened(network, layout);
  CHECK(at::equal(vector.narrow(0, 20, 5), network.at("fc1.bias")));
  const auto back = unflattened(vector, layout);
  CHECK(back.size() == 2);
  CHECK(at::equal(back.at("fc2.weight"), network.at("fc2.weight")));
  // Views: what is written there is in the vector.
  back.at("fc1.bias").zero_();
  CHECK(vector.narrow(0, 20, 5).eq(0).all().item<bool>());

  CHECK_THROWS_WITH_AS(flattened(network, {{"fc9.bias", {1}}}), "the network has no \"fc9.bias\"",
                       Error);
  CHECK_THROWS_AS(flattened(network, {{"fc1.bias", {4}}}), Error);
  CHECK_THROWS_AS(unflattened(vector, {{"fc1.bias", {5}}}), Error);
}

TEST_CASE("a path has its ends exactly, and its middle is the mean") {
  const auto a = kMlp.random(0);
  const auto b = kMlp.random(1);
  CHECK(same_bits(between(a, b, 0), a));
  CHECK(same_bits(between(a, b, 1), b));
  const auto middle = between(a, b, 0.5);
  const Weights both[] = {a, b};
  const auto mean = average(both);
  for (const auto& [name, tensor] : mean) CHECK(at::allclose(tensor, middle.at(name), 0, 1e-6));
  auto other = b;
  other.erase("fc1.bias");
  CHECK_THROWS_AS(between(a, other, 0.5), Error);
  CHECK_THROWS_AS(between(other, a, 0.5), Error);
  CHECK_THROWS_AS(average({}), Error);
}

TEST_CASE("a barrier is what rises above the line between the ends") {
  CHECK(barrier(std::vector<double>{1, 2, 3}) == 0);
  CHECK(barrier(std::vector<double>{1, 1, 3}) == 0);
  CHECK(barrier(std::vector<double>{1, 5, 2}) == doctest::Approx(3.5));
}

TEST_CASE("relabelling changes nothing that a network computes, and can be undone") {
  const auto network = kMlp.random(0);
  const auto symmetry = kMlp.symmetry();
  const auto labels = random_relabelling(symmetry, 7);
  const auto other = permuted(network, symmetry, labels);
  CHECK_FALSE(same_bits(other, network));
  const auto x = random_normal(1, "x", {20, 3});
  CHECK(at::allclose(kMlp(other, x), kMlp(network, x), 0, 1e-5));
  CHECK(same_bits(permuted(other, symmetry, inverse(labels)), network));
  // Unit i of the new one is unit order[i] of the old.
  CHECK(at::equal(permuted(network, symmetry, {{"fc1", labels.at("fc1")}}).at("fc1.bias"),
                  network.at("fc1.bias").index_select(0, labels.at("fc1"))));
}

TEST_CASE("units of several neighbours move together, from where they begin") {
  const auto tensor = at::arange(8);
  const UnitGroup::Axis axis{.tensor = "x", .block = 2, .offset = 2};
  CHECK(at::equal(permuted(tensor, axis, at::tensor({1, 0, 2}, at::kLong)),
                  at::tensor({0, 1, 4, 5, 2, 3, 6, 7}, at::kLong)));
}

}  // namespace
}  // namespace perturb::weights
