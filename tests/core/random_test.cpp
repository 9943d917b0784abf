#include "perturb/core/random.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <numbers>
#include <set>
#include <string>
#include <vector>

#include <doctest/doctest.h>

#include "perturb/core/digest.h"

using namespace perturb;

TEST_CASE("Philox4x32-10 gives the known answers of Random123") {
  using Block = std::array<std::uint32_t, 4>;
  CHECK(philox({0, 0, 0, 0}, {0, 0}) == Block{0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8});
  const std::uint32_t f = 0xffffffff;
  CHECK(philox({f, f, f, f}, {f, f}) == Block{0x408f276d, 0x41c83b0e, 0xa20bc7c6, 0x6d5451fd});
  CHECK(philox({0x243f6a88, 0x85a308d3, 0x13198a2e, 0x03707344}, {0xa4093822, 0x299f31d0}) ==
        Block{0xd16cfe09, 0x94fdcceb, 0x5001e420, 0x24126ea1});
}

TEST_CASE("an address always gives the same draws, and every part of it matters") {
  const auto first = [](Random r) { return std::pair(r.bits(), r.bits()); };
  const auto draw = first(Random(7, "init/conv1", 3));
  CHECK(first(Random(7, "init/conv1", 3)) == draw);
  CHECK(first(Random(8, "init/conv1", 3)) != draw);
  CHECK(first(Random(7, "init/conv2", 3)) != draw);
  CHECK(first(Random(7, "init/conv1", 4)) != draw);
  // Seeds keep all of their 64 bits, unlike LibTorch's generator.
  CHECK(first(Random(7 + (1ULL << 32), "init/conv1", 3)) != draw);
}

TEST_CASE("many draws at once are those that come one by one, wherever they begin") {
  for (const std::size_t before : {0, 1, 2, 3, 5}) {
    for (const std::size_t count : {0, 1, 255, 256, 257, 1000}) {
      Random one(3, "fill", count);
      Random many(3, "fill", count);
      for (std::size_t i = 0; i < before; ++i) CHECK(one.uniform() == many.uniform());
      std::vector<float> uniform(count);
      many.fill_uniform(uniform);
      for (const float x : uniform) CHECK(x == one.uniform());
      std::vector<float> normal(count);
      many.fill_normal(normal);
      for (const float x : normal) CHECK(x == one.normal());
      CHECK(one.normal() == many.normal());
      CHECK(one.bits() == many.bits());
    }
  }
}

TEST_CASE("normal draws are Box and Muller's of the words, with more digits than a float has") {
  Random words(5, "words");
  Random draws(5, "words");
  for (int i = 0; i < 100'000; ++i) {
    const double u = ((words.bits() >> 8) + 1) * 0x1p-24;
    const double angle = 2 * std::numbers::pi * (words.bits() >> 8) * 0x1p-24;
    const double radius = std::sqrt(-2 * std::log(u));
    // A few units in the last place of the radius.
    CHECK(std::abs(draws.normal() - radius * std::cos(angle)) <= 5e-7 * std::max(radius, 1e-3));
    CHECK(std::abs(draws.normal() - radius * std::sin(angle)) <= 5e-7 * std::max(radius, 1e-3));
  }
}

TEST_CASE("normal draws have the same bits on every machine") {
  std::vector<float> draws(100'000);
  Random(0, "everywhere").fill_normal(draws);
  std::string bytes(draws.size() * sizeof(float), '\0');
  std::memcpy(bytes.data(), draws.data(), bytes.size());
  CHECK(sha256(bytes).hex() == "a68ea02b10fda4153ea38cbf4983644f025223d496739f1f39e33ec851448a4a");
}

TEST_CASE("uniform and normal draws have the moments of their distributions") {
  constexpr int n = 200'000;
  Random random(0, "moments");
  double sum = 0, sum2 = 0, least = 1, most = 0;
  for (int i = 0; i < n; ++i) {
    const double u = random.uniform();
    sum += u;
    sum2 += u * u;
    least = std::min(least, u);
    most = std::max(most, u);
  }
  // Five standard errors of each mean.
  CHECK(sum / n == doctest::Approx(0.5).epsilon(5 * std::sqrt(1.0 / 12 / n) / 0.5));
  CHECK(sum2 / n == doctest::Approx(1.0 / 3).epsilon(5 * std::sqrt(4.0 / 45 / n) * 3));
  CHECK(least >= 0);
  CHECK(most < 1);

  double m1 = 0, m2 = 0, m3 = 0, m4 = 0;
  for (int i = 0; i < n; ++i) {
    const double x = random.normal();
    m1 += x;
    m2 += x * x;
    m3 += x * x * x;
    m4 += x * x * x * x;
  }
  CHECK(std::abs(m1 / n) < 5 * std::sqrt(1.0 / n));
  CHECK(std::abs(m2 / n - 1) < 5 * std::sqrt(2.0 / n));
  CHECK(std::abs(m3 / n) < 5 * std::sqrt(15.0 / n));
  CHECK(std::abs(m4 / n - 3) < 5 * std::sqrt(96.0 / n));
}

TEST_CASE("below() is uniform and stays below") {
  Random random(1, "below");
  std::array<int, 7> counts{};
  constexpr int n = 70'000;
  for (int i = 0; i < n; ++i) ++counts.at(random.below(7));
  double chi2 = 0;
  for (const int c : counts) chi2 += (c - n / 7.0) * (c - n / 7.0) / (n / 7.0);
  CHECK(chi2 < 27.9);  // the 0.9999 quantile with 6 degrees of freedom
  CHECK(random.below(1) == 0);
}

TEST_CASE("a permutation holds every index once, and all orders occur") {
  auto order = Random(3, "order", 0).permutation(1000);
  CHECK(order != Random(3, "order", 1).permutation(1000));
  std::sort(order.begin(), order.end());
  for (std::size_t i = 0; i < order.size(); ++i) REQUIRE(order[i] == static_cast<std::int64_t>(i));

  std::set<std::vector<std::int64_t>> seen;
  for (std::uint64_t e = 0; e < 500; ++e) seen.insert(Random(0, "order", e).permutation(4));
  CHECK(seen.size() == 24);
  CHECK(Random(0, "order").permutation(0).empty());
}
