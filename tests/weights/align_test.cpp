#include "perturb/weights/align.h"

#include "doctest_torch.h"
#include "perturb/core/error.h"
#include "weights/networks.h"

namespace perturb::weights {
namespace {

double distance(const Weights& a, const Weights& b) {
  double sum = 0;
  for (const auto& [name, tensor] : a) sum += (tensor - b.at(name)).square().sum().item<double>();
  return std::sqrt(sum);
}

/// Of so many random networks, how many of them are found again from a relabelled copy.
int recovered(const Mlp& mlp, int tries, double noise = 0, int starts = 1) {
  int found = 0;
  for (int i = 0; i < tries; ++i) {
    const auto seed = static_cast<std::uint64_t>(i);
    const auto network = mlp.random(seed);
    auto other = network;
    for (auto& [name, tensor] : other) {
      const auto scale =
          noise * tensor.norm().item<double>() / std::sqrt(static_cast<double>(tensor.numel()));
      tensor = tensor + scale * random_normal(seed, "noise/" + name, tensor.sizes().vec());
    }
    const auto shuffled = permuted(other, mlp.symmetry(), random_relabelling(mlp.symmetry(), seed));
    const auto aligned =
        match_weights(shuffled, network, mlp.symmetry(), {.seed = seed, .starts = starts});
    // Bitwise: aligning only moves rows, it never computes one.
    if (same_bits(permuted(shuffled, mlp.symmetry(), aligned.relabelling), other)) ++found;
  }
  return found;
}

TEST_CASE("weight matching undoes a relabelling") {
  CHECK(recovered({{4, 16, 3}}, 100) == 100);
  CHECK(recovered({{784, 32, 32, 10}}, 100) == 100);
  CHECK(recovered({{784, 128, 128, 10}}, 50) == 50);
}

TEST_CASE("and of a network that has changed by half of its length") {
  CHECK(recovered({{784, 32, 32, 10}}, 20, 0.1) == 20);
  CHECK(recovered({{784, 32, 32, 10}}, 20, 0.5) == 20);
}

TEST_CASE("narrow and deep networks take several starts") {
  CHECK(recovered({{2, 10, 10, 10, 3}}, 100, 0, 30) >= 99);
}

TEST_CASE("the aligned network is never further away, and the similarity is what it says") {
  const Mlp mlp{{6, 20, 20, 4}};
  for (std::uint64_t seed = 0; seed < 10; ++seed) {
    const auto a = mlp.random(2 * seed);
    const auto b = mlp.random(2 * seed + 1);
    const auto aligned = match_weights(b, a, mlp.symmetry(), {.seed = seed});
    CHECK(aligned.converged);
    const auto moved = permuted(b, mlp.symmetry(), aligned.relabelling);
    CHECK(distance(moved, a) <= distance(b, a));
    double similarity = 0;
    for (const auto& [name, tensor] : a)
      similarity += (tensor * moved.at(name)).sum().item<double>();
    CHECK(aligned.similarity == doctest::Approx(similarity).epsilon(1e-5));
    // More starts never find less.
    CHECK(match_weights(b, a, mlp.symmetry(), {.seed = seed, .starts = 5}).similarity >=
          aligned.similarity);
  }
}

TEST_CASE("activation matching undoes a relabelling, whatever the units' scales") {
  const auto theirs = random_normal(0, "activations", {50, 12});
  const auto labels = random_relabelling({{"fc1", 12, {}}}, 3);
  const auto mine = theirs.index_select(1, labels.at("fc1")) * 3 + 1;
  const auto found = match_activations({{"fc1", mine}}, {{"fc1", theirs}});
  CHECK(at::equal(mine.index_select(1, found.at("fc1")), theirs * 3 + 1));
  // A unit that never changes correlates with none; that is no error.
  auto dead = mine.clone();
  dead.select(1, 0).zero_();
  CHECK_NOTHROW(match_activations({{"fc1", dead}}, {{"fc1", theirs}}));
  CHECK_THROWS_AS(match_activations({{"fc1", mine.narrow(1, 0, 3)}}, {{"fc1", theirs}}), Error);
}

/// Queries, keys and values of all heads in one matrix, as vision transformers have them.
Attention attention(std::int64_t heads, std::int64_t units) {
  const auto width = heads * units;
  const auto rows = [&](std::int64_t part) {
    return std::vector<UnitGroup::Axis>{{.tensor = "qkv.weight", .offset = part * width},
                                        {.tensor = "qkv.bias", .offset = part * width}};
  };
  return {.name = "attn",
          .heads = heads,
          .units = units,
          .queries = rows(0),
          .keys = rows(1),
          .values = rows(2),
          .outputs = {{.tensor = "proj.weight", .dimension = 1}}};
}

TEST_CASE("attention: heads and what is inside them are found again, and compute the same") {
  const std::int64_t heads = 4;
  const std::int64_t units = 8;
  const std::int64_t width = heads * units;
  const auto symmetry = attention(heads, units).groups();
  CHECK(symmetry.size() == 5);
  const auto compute = [&](const Weights& network, const Tensor& x) {
    const auto qkv = x.matmul(network.at("qkv.weight").t()) + network.at("qkv.bias");
    const auto split = qkv.view({x.size(0), 3, heads, units}).permute({1, 2, 0, 3});
    const auto scores = split[0].matmul(split[1].transpose(1, 2)).softmax(-1);
    const auto mixed = scores.matmul(split[2]).permute({1, 0, 2}).reshape({x.size(0), width});
    return mixed.matmul(network.at("proj.weight").t());
  };
  for (std::uint64_t seed = 0; seed < 10; ++seed) {
    const Weights network = {
        {"qkv.weight", random_normal(seed, "qkv", {3 * width, width}) / 6},
        {"qkv.bias", random_normal(seed, "bias", {3 * width})},
        {"proj.weight", random_normal(seed, "proj", {width, width})},
    };
    const auto shuffled = permuted(network, symmetry, random_relabelling(symmetry, seed));
    const auto x = random_normal(seed, "x", {10, width});
    CHECK(at::allclose(compute(shuffled, x), compute(network, x), 0, 1e-4));
    CHECK_FALSE(same_bits(shuffled, network));
    const auto back = match_attention(shuffled, network, attention(heads, units));
    CHECK(same_bits(permuted(shuffled, symmetry, back), network));
  }
}

TEST_CASE("networks of different models are refused") {
  const Mlp one{{3, 4, 2}};
  const Mlp other{{3, 5, 2}};
  CHECK_THROWS_AS(match_weights(one.random(0), other.random(0), one.symmetry()), Error);
  CHECK_THROWS_AS(match_weights(one.random(0), {}, one.symmetry()), Error);
  CHECK_THROWS_AS(match_weights(one.random(0), one.random(1), one.symmetry(), {.starts = 0}),
                  Error);
}

}  // namespace
}  // namespace perturb::weights
