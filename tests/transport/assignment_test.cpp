#include "perturb/transport/assignment.h"

#include <limits>
#include <numeric>

#include "perturb/core/error.h"
#include "perturb/transport/discrete.h"
#include "transport/examples.h"

namespace perturb::transport {
namespace {

constexpr double kInfinity = std::numeric_limits<double>::infinity();

}  // namespace

TEST_CASE("assignment is discrete transport with equal weights") {
  Random random(1, "assignment");
  for (const std::int64_t n : {2, 17, 100, 211}) {
    const auto cost = normal(random, {n, n});
    const auto even = at::ones({n}, at::kDouble);
    CHECK(assign(cost).cost / static_cast<double>(n) ==
          doctest::Approx(value_of(discrete_transport(even, even, cost).cost)).epsilon(1e-11));
  }
}

TEST_CASE("greatest is least of the negative, and a transpose changes sides") {
  Random random(2, "assignment");
  for (const auto& [n, m] : {std::pair{30, 30}, {20, 45}, {45, 20}, {1, 9}, {9, 1}}) {
    const auto cost = normal(random, {n, m});
    const auto least = assign(cost);
    const auto greatest = assign(-cost, {.maximise = true});
    CHECK(greatest.cost == -least.cost);
    CHECK(greatest.columns.equal(least.columns));
    CHECK(assign(cost.t()).cost == doctest::Approx(least.cost).epsilon(1e-12));
    CHECK(least.rows.size(0) == std::min(n, m));
  }
}

TEST_CASE("forbidden pairs are not used, and what leaves no assignment is said") {
  Random random(3, "assignment");
  // Only a band is allowed: the identity is one assignment.
  auto cost = normal(random, {40, 40});
  const auto gap = (at::arange(40).unsqueeze(1) - at::arange(40)).abs();
  cost.masked_fill_(gap > 1, kInfinity);
  const auto found = assign(cost);
  CHECK(std::isfinite(found.cost));
  CHECK((found.columns - found.rows).abs().max().item<std::int64_t>() <= 1);
  CHECK(found.cost <= cost.diagonal().sum().item<double>());

  // Three rows share two columns.
  auto tight = at::full({3, 3}, 1.0, at::kDouble);
  tight.select(1, 2).fill_(kInfinity);
  CHECK_THROWS_WITH_AS(assign(tight), "cost: infinite entries leave no assignment", Error);
  auto nowhere = at::full({2, 5}, 1.0, at::kDouble);
  nowhere[1].fill_(kInfinity);
  CHECK_THROWS_AS(assign(nowhere), Error);
  CHECK_THROWS_AS(assign(at::full({2, 2}, kInfinity, at::kDouble)), Error);
}

TEST_CASE("ties, and costs that rounding cannot tell apart, come to an end") {
  Random random(4, "assignment");
  CHECK(assign(at::zeros({64, 64}, at::kDouble)).cost == 0);
  const auto nearly = 1 + normal(random, {64, 64}) * 0x1p-52;
  CHECK(assign(nearly).cost == doctest::Approx(64).epsilon(1e-12));
  const auto levels = at::floor(normal(random, {90, 90}) * 2);
  const auto once = assign(levels);
  CHECK(assign(levels).columns.equal(once.columns));
}

}  // namespace perturb::transport
