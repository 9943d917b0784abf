#include "perturb/weights/ode.h"

#include <cmath>
#include <numbers>

#include "doctest_torch.h"
#include "perturb/core/error.h"

namespace perturb::weights {
namespace {

/// dx/dt = x cos(t): x(t) = exp(sin t).
at::Tensor growth(const at::Tensor& x, double t) { return x * std::cos(t); }

double error(Method method, std::int64_t steps) {
  const auto x = integrate(growth, at::ones({1}, at::kDouble), method, steps, {.from = 0, .to = 2});
  return std::abs(x.item<double>() - std::exp(std::sin(2.0)));
}

TEST_CASE("each method has its order") {
  const auto order = [](Method method) {
    return std::log2(error(method, 100) / error(method, 200));
  };
  CHECK(order(Method::Euler) == doctest::Approx(1).epsilon(0.05));
  CHECK(order(Method::Midpoint) == doctest::Approx(2).epsilon(0.05));
  CHECK(order(Method::RungeKutta4) == doctest::Approx(4).epsilon(0.05));
}

TEST_CASE("going there and back again") {
  const auto x = at::tensor({1.0, -2.0, 0.5}, at::kDouble);
  const auto there = integrate(growth, x, Method::RungeKutta4, 100, {.from = 0, .to = 1});
  const auto back = integrate(growth, there, Method::RungeKutta4, 100, {.from = 1, .to = 0});
  CHECK(at::allclose(back, x, 0, 1e-8));
}

TEST_CASE("steps as long as the tolerance allows") {
  const auto x = at::ones({1}, at::kDouble);
  std::int64_t steps = 0;
  for (const double tolerance : {1e-4, 1e-7, 1e-10}) {
    const auto found = integrate(growth, x, Tolerance{.relative = tolerance, .absolute = tolerance},
                                 {.from = 0, .to = 2});
    CHECK(found.reached);
    // The error of one step is held; they add up.
    CHECK(std::abs(found.x.item<double>() - std::exp(std::sin(2.0))) < 50 * tolerance);
    CHECK(found.steps > steps);
    steps = found.steps;
  }
  CHECK(steps < 500);
  // Stiff where it begins: long steps are tried and rejected.
  const auto stiff =
      integrate([](const at::Tensor& y, double t) { return -1000 * (y - std::cos(t)); },
                at::zeros({1}, at::kDouble), Tolerance{});
  CHECK(stiff.reached);
  CHECK(stiff.rejected > 0);
  CHECK(stiff.x.item<double>() == doctest::Approx(std::cos(1.0)).epsilon(1e-3));
}

TEST_CASE("a solution that does not exist so far is said not to be reached") {
  // dx/dt = x^2 from 1 is 1 / (1 - t).
  const auto found =
      integrate([](const at::Tensor& x, double) { return x * x; }, at::ones({1}, at::kDouble),
                Tolerance{.most_steps = 200}, {.from = 0, .to = 2});
  CHECK_FALSE(found.reached);
  CHECK(found.steps + found.rejected == 200);
  CHECK_THROWS_AS(integrate(growth, at::ones({1}), Method::Euler, 0), Error);
}

}  // namespace
}  // namespace perturb::weights
