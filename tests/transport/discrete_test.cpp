#include "perturb/transport/discrete.h"

#include "perturb/transport/assignment.h"
#include "perturb/transport/barycentric.h"
#include "perturb/transport/cost.h"
#include "transport/examples.h"

namespace perturb::transport {
namespace {

/// That plan and prices are feasible, and equal in value: both are optimal then. `unit` is the
/// greatest cost.
void check_optimal(const Tensor& a, const Tensor& b, const Tensor& cost,
                   const DiscreteTransport& exact) {
  const double unit = cost.abs().max().item<double>();
  CHECK((exact.plan.sum(1) - a / a.sum()).abs().max().item<double>() <= 1e-15);
  CHECK((exact.plan.sum(0) - b / b.sum()).abs().max().item<double>() <= 1e-15);
  CHECK(exact.plan.min().item<double>() >= 0);
  // What the method calls rounding is 2^-42 of the greatest cost.
  const auto slack = cost - exact.f.unsqueeze(1) - exact.g.unsqueeze(0);
  CHECK(slack.min().item<double>() >= -3e-13 * unit);
  CHECK((exact.plan * slack).sum().item<double>() <= 3e-13 * unit);
}

}  // namespace

TEST_CASE("discrete transport is proved optimal by its prices at any size and shape") {
  Random random(1, "discrete");
  for (const auto& [n, m] : {std::pair{150, 150}, {40, 300}, {300, 40}, {1, 200}, {200, 1}}) {
    const auto x = normal(random, {n, 3});
    const auto y = normal(random, {m, 3});
    for (const bool zeros : {false, true}) {
      const auto a = random_weights(random, n, zeros && n > 1);
      const auto b = random_weights(random, m, zeros && m > 1);
      for (const double p : {1.0, 2.0}) {
        const auto cost = distance_powers(x, y, p);
        check_optimal(a, b, cost, discrete_transport(a, b, cost));
      }
    }
  }
}

TEST_CASE("ties everywhere do not stop the simplex method") {
  Random random(2, "discrete");
  for (int repeat = 0; repeat < 20; ++repeat) {
    // Few levels of costs, equal weights: nearly every pivot is degenerate.
    const auto cost = at::floor(normal(random, {60, 60}).abs() * 2);
    const auto even = at::full({60}, 1 / 60.0, at::kDouble);
    const auto exact = discrete_transport(even, even, cost);
    check_optimal(even, even, cost, exact);
    CHECK(value_of(exact.cost) * 60 == doctest::Approx(assign(cost).cost).epsilon(1e-13));
  }
  const auto same = at::zeros({30, 20}, at::kDouble);
  const auto a = at::ones({30}, at::kDouble);
  const auto b = at::ones({20}, at::kDouble);
  CHECK(value_of(discrete_transport(a, b, same).cost) == 0);
}

TEST_CASE("discrete transport does not depend on the order of the points, nor on constants") {
  Random random(3, "discrete");
  const auto cost = normal(random, {30, 25});
  const auto a = random_weights(random, 30, true);
  const auto b = random_weights(random, 25);
  const double value = value_of(discrete_transport(a, b, cost).cost);
  const auto rows = at::tensor(random.permutation(30));
  const auto columns = at::tensor(random.permutation(25));
  const auto shuffled = cost.index_select(0, rows).index_select(1, columns);
  CHECK(value_of(discrete_transport(a.index_select(0, rows), b.index_select(0, columns), shuffled)
                     .cost) == doctest::Approx(value).epsilon(1e-12));
  CHECK(value_of(discrete_transport(b, a, cost.t()).cost) == doctest::Approx(value).epsilon(1e-12));
  CHECK(value_of(discrete_transport(a, b, cost + 7).cost) ==
        doctest::Approx(value + 7).epsilon(1e-12));
}

TEST_CASE("the value of discrete transport has the gradient of finite differences") {
  Random random(4, "discrete");
  const auto cost = normal(random, {6, 5});
  const auto a = random_weights(random, 6);
  const auto b = random_weights(random, 5);
  // Piecewise linear in the costs and, but for the division by the sum, in the weights.
  check_gradient([&](const Tensor& t) { return discrete_transport(a, b, t).cost; }, cost, 1e-8);
  check_gradient([&](const Tensor& t) { return discrete_transport(t, b, cost).cost; }, a, 1e-8);
  check_gradient([&](const Tensor& t) { return discrete_transport(a, t, cost).cost; }, b, 1e-8);
}

TEST_CASE("the same bits each time") {
  Random random(5, "discrete");
  const auto cost = normal(random, {50, 70});
  const auto a = random_weights(random, 50);
  const auto b = random_weights(random, 70);
  const auto once = discrete_transport(a, b, cost);
  const auto twice = discrete_transport(a, b, cost);
  CHECK(once.plan.equal(twice.plan));
  CHECK(once.f.equal(twice.f));
}

TEST_CASE(
    "a barycentric map of a permutation is the permutation, and half squares are half of squares") {
  Random random(6, "discrete");
  const auto y = normal(random, {12, 2});
  const auto order = at::tensor(random.permutation(12));
  const auto plan = at::eye(12, at::kDouble).index_select(0, order) / 12;
  CHECK(barycentric_map(plan, y).allclose(y.index_select(0, order)));
  auto partial = plan.clone();
  partial[3] = 0;
  CHECK(barycentric_map(partial, y)[3].isnan().all().item<bool>());

  const auto x = normal(random, {4, 2});
  CHECK((half_squares(x, y) * 2).equal(distance_powers(x, y, 2)));
  CHECK(distance_powers(x, y, 1).allclose(at::cdist(x, y)));
  // Towards the nearest point where epsilon is small, towards the mean where it is large.
  const auto nearest = std::get<1>(at::cdist(x, y).min(1));
  CHECK(soft_nearest(x, y, 1e-6).allclose(y.index_select(0, nearest), 1e-6, 1e-6));
  CHECK(soft_nearest(x, y, 1e9).allclose(y.mean(0, true).expand({4, 2}), 1e-6, 1e-6));
}

TEST_CASE("the gradient of a distance is zero where it is zero, not NaN") {
  const auto x = at::zeros({2, 2}, at::kDouble).set_requires_grad(true);
  distance_powers(x, at::zeros({3, 2}, at::kDouble), 1).sum().backward();
  CHECK(x.grad().abs().max().item<double>() == 0);
}

}  // namespace perturb::transport
