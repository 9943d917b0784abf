#include "perturb/weights/flow_matching.h"

#include <cmath>

#include "doctest_torch.h"
#include "perturb/core/error.h"
#include "perturb/weights/ode.h"
#include "weights/networks.h"

namespace perturb::weights {
namespace {

TEST_CASE("times have their distributions' moments") {
  Random random(0, "times");
  const std::int64_t n = 100'000;
  const auto uniform = draw_times(random, Times::Uniform, n).to(at::kDouble);
  CHECK(uniform.mean().item<double>() == doctest::Approx(0.5).epsilon(0.01));
  CHECK(uniform.var().item<double>() == doctest::Approx(1.0 / 12).epsilon(0.02));
  const auto early = draw_times(random, Times::Beta25, n).to(at::kDouble);
  // a / (a + b), a b / ((a + b)^2 (a + b + 1)).
  CHECK(early.mean().item<double>() == doctest::Approx(2.0 / 7).epsilon(0.01));
  CHECK(early.var().item<double>() == doctest::Approx(10.0 / (49 * 8)).epsilon(0.02));
}

TEST_CASE("a path begins at the source, ends at the data, and is off by sigma in between") {
  const auto x0 = random_normal(0, "x0", {6, 4});
  const auto x1 = random_normal(1, "x1", {6, 4});
  const auto eps = random_normal(2, "eps", {6, 4});
  CHECK(at::equal(on_the_path(x0, x1, at::zeros({6}), eps, 0), x0));
  CHECK(at::equal(on_the_path(x0, x1, at::ones({6}), eps, 0), x1));
  CHECK(at::allclose(on_the_path(x0, x1, at::full({6}, 0.25), eps, 0.1),
                     0.75 * x0 + 0.25 * x1 + 0.1 * eps));
}

TEST_CASE("nearest pairs cost the least of all pairings") {
  const auto x0 = random_normal(0, "x0", {5, 2});
  const auto x1 = random_normal(1, "x1", {5, 2});
  const auto cost = [&](const at::Tensor& order) {
    return (x0 - x1.index_select(0, order)).square().sum().item<double>();
  };
  const double best = cost(nearest_pairs(x0, x1));
  std::vector<std::int64_t> order = {0, 1, 2, 3, 4};
  double least = cost(at::tensor(order, at::kLong));
  while (std::next_permutation(order.begin(), order.end()))
    least = std::min(least, cost(at::tensor(order, at::kLong)));
  CHECK(best == doctest::Approx(least));
  CHECK_THROWS_AS(nearest_pairs(x0, x1.narrow(0, 0, 3)), Error);
}

TEST_CASE("the flow between two Gaussians follows its closed form") {
  // N(0, s^2) to N(m, r^2) with independent pairs: x_t is N(t m, (1 - t)^2 s^2 + t^2 r^2), and the
  // expectation of x1 - x0 given x_t is linear in it. Its flow keeps every point's quantile.
  const double m = 3;
  const double s = 0.5;
  const double r = 2;
  const Field field = [&](const at::Tensor& x, double t) {
    const double variance = (1 - t) * (1 - t) * s * s + t * t * r * r;
    const double slope = (t * r * r - (1 - t) * s * s) / variance;
    return m + slope * (x - t * m);
  };
  const auto x = at::linspace(-1, 1, 9, at::kDouble);
  const auto end = integrate(field, x, Method::RungeKutta4, 200);
  CHECK(at::allclose(end, m + x * (r / s), 0, 1e-5));

  // And that field is what the targets' mean is: least squares over pairs, at one time.
  const std::int64_t n = 200'000;
  const auto x0 = s * random_normal(0, "x0", {n, 1}).to(at::kDouble);
  const auto x1 = m + r * random_normal(0, "x1", {n, 1}).to(at::kDouble);
  const auto there = on_the_path(x0, x1, at::full({n}, 0.3, at::kDouble), at::zeros_like(x0), 0);
  const auto target = x1 - x0;
  const auto centred = there - there.mean();
  const double slope =
      (centred * target).sum().item<double>() / centred.square().sum().item<double>();
  const double expected = (0.3 * r * r - 0.7 * s * s) / (0.49 * s * s + 0.09 * r * r);
  CHECK(slope == doctest::Approx(expected).epsilon(0.01));
}

}  // namespace
}  // namespace perturb::weights
