#include "perturb/transport/sinkhorn.h"

#include "perturb/transport/cost.h"
#include "perturb/transport/discrete.h"
#include "transport/examples.h"

namespace perturb::transport {

TEST_CASE("the entropic plan has its marginals, and its potentials are its logarithm") {
  Random random(1, "sinkhorn");
  for (const auto& [n, m] : {std::pair{40, 30}, {1, 5}, {1, 1}, {200, 150}}) {
    const auto cost = distance_powers(normal(random, {n, 2}), normal(random, {m, 2}), 2);
    const auto a = random_weights(random, n, n > 1);
    const auto b = random_weights(random, m, m > 1);
    for (const double epsilon : {1.0, 0.05}) {
      const auto c = sinkhorn(a, b, cost, {.epsilon = epsilon});
      CHECK(c.convergence == Convergence::Reached);
      CHECK(c.error <= 1e-9);
      CHECK((c.plan.sum(0) - b).abs().sum().item<double>() <= 2e-9);
      CHECK((c.plan.sum(1) - a).abs().max().item<double>() <= 1e-13);
      const auto again = ((c.f.unsqueeze(1) + c.g.unsqueeze(0) - cost) / epsilon).exp();
      CHECK((again - c.plan).abs().max().item<double>() <= 1e-15);
      CHECK(value_of(c.cost) == doctest::Approx((c.plan * cost).sum().item<double>()));
    }
  }
}

TEST_CASE("as the temperature falls, the entropic cost falls to the exact one") {
  Random random(2, "sinkhorn");
  const auto cost = distance_powers(normal(random, {30, 2}), normal(random, {25, 2}), 2);
  const auto a = random_weights(random, 30);
  const auto b = random_weights(random, 25);
  const double exact = value_of(discrete_transport(a, b, cost).cost);
  double former = std::numeric_limits<double>::infinity();
  for (const double epsilon : {1.0, 0.3, 0.1, 0.03, 0.01}) {
    const double now = value_of(sinkhorn(a, b, cost, {.epsilon = epsilon}).cost);
    CHECK(now >= exact - 1e-9);
    CHECK(now < former);
    // Cominetti and San Martin: no more than the entropy that is left, epsilon log(n m).
    CHECK(now - exact <= epsilon * std::log(30 * 25));
    former = now;
  }
}

TEST_CASE("the entropic plan is the least among its neighbours with the same marginals") {
  Random random(3, "sinkhorn");
  const auto cost = normal(random, {6, 6});
  const auto a = random_weights(random, 6);
  const auto b = random_weights(random, 6);
  const double epsilon = 0.5;
  const auto c = sinkhorn(a, b, cost, {.epsilon = epsilon, .tolerance = 1e-13});
  const auto objective = [&](const Tensor& plan) {
    return value_of((plan * cost).sum() + epsilon * (plan * (plan.log() - 1)).sum());
  };
  CHECK(objective(c.plan) == doctest::Approx(value_of(c.objective)).epsilon(1e-10));
  for (int repeat = 0; repeat < 30; ++repeat) {
    auto change = normal(random, {6, 6}) * 1e-4;
    change = change - change.mean(0, true) - change.mean(1, true) + change.mean();
    // Rows and columns of the change sum to zero.
    CHECK(objective(c.plan + change * c.plan.min()) >= objective(c.plan) - 1e-14);
  }
}

TEST_CASE("the entropic objective has the gradient of finite differences") {
  Random random(4, "sinkhorn");
  const auto cost = normal(random, {5, 4});
  const auto a = random_weights(random, 5);
  const auto b = random_weights(random, 4);
  const SinkhornOptions options{.epsilon = 0.3, .tolerance = 1e-13};
  check_gradient([&](const Tensor& t) { return sinkhorn(a, b, t, options).objective; }, cost, 1e-7);
  check_gradient([&](const Tensor& t) { return sinkhorn(t, b, cost, options).objective; }, a, 1e-7);
  check_gradient([&](const Tensor& t) { return sinkhorn(a, t, cost, options).objective; }, b, 1e-7);
}

TEST_CASE("a warm start ends at the same plan in fewer iterations") {
  Random random(5, "sinkhorn");
  const auto cost = distance_powers(normal(random, {60, 2}), normal(random, {60, 2}), 2);
  const auto a = random_weights(random, 60, true);
  const auto b = random_weights(random, 60);
  const auto cold = sinkhorn(a, b, cost, {.epsilon = 0.1});
  const auto warm = sinkhorn(a, b, cost, {.epsilon = 0.1, .f = cold.f, .g = cold.g});
  CHECK(warm.iterations < cold.iterations);
  CHECK((warm.plan - cold.plan).abs().max().item<double>() <= 1e-8);
  const auto near = sinkhorn(a, b, cost * 1.01, {.epsilon = 0.1, .f = cold.f, .g = cold.g});
  CHECK(near.convergence == Convergence::Reached);
}

TEST_CASE("slow convergence is said, not thrown") {
  Random random(6, "sinkhorn");
  const auto cost = distance_powers(normal(random, {50, 2}), normal(random, {50, 2}) + 1, 2);
  const auto even = at::ones({50}, at::kDouble);
  const auto c = sinkhorn(even, even, cost, {.epsilon = 0.001, .max_iterations = 2});
  CHECK(c.convergence == Convergence::IterationLimit);
  CHECK(c.iterations == 2);
  CHECK(c.error > 1e-9);
  CHECK((c.plan.sum(0) * 50 - 1).abs().sum().item<double>() / 50 >= 0.5 * c.error);
}

TEST_CASE("the extrapolation is worth it: a small temperature settles within a thousand rounds") {
  Random random(7, "sinkhorn");
  const auto cost = half_squares(normal(random, {100, 5}), normal(random, {100, 5}) + 1);
  const auto even = at::ones({100}, at::kDouble);
  // Plain alternating updates need some 10,000 for this.
  const auto c =
      sinkhorn(even, even, cost, {.epsilon = 0.0025, .tolerance = 1e-5, .max_iterations = 1500});
  CHECK(c.convergence == Convergence::Reached);
}

}  // namespace perturb::transport
