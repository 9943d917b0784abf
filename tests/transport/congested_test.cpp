#include "perturb/transport/congested.h"

#include "transport/examples.h"

namespace perturb::transport {
namespace {

constexpr std::int64_t kSamples = 1000;

/// The middles of equal parts of [left, left + 1].
Measure uniform(double left) {
  return {left + (at::arange(kSamples, at::kDouble) + 0.5) / static_cast<double>(kSamples), {}};
}

}  // namespace

TEST_CASE("Fenchel-Young holds at every point, with equality at the optimum") {
  Random random(1, "congested");
  for (const double power : {1.5, 2.0, 4.0}) {
    const Congestion congestion{.lambda = 3, .power = power};
    const auto sigma = normal(random, {2000}).abs() + 0.05;
    const auto i = normal(random, {2000}).abs() * 3;
    const auto z = normal(random, {2000}).abs() * 3;
    const auto gap =
        congestion_cost(i, sigma, congestion) + congestion_conjugate(z, sigma, congestion) - i * z;
    CHECK(gap.min().item<double>() >= -1e-12);
    const auto best = congestion_intensity(z, sigma, congestion);
    const auto equal = congestion_cost(best, sigma, congestion) +
                       congestion_conjugate(z, sigma, congestion) - best * z;
    // Terms reach some 10^4 for the power 1.5.
    CHECK(equal.abs().max().item<double>() <= 1e-9);
  }
}

TEST_CASE("H' is the inverse of (H*)', and both are the derivatives") {
  Random random(2, "congested");
  for (const double power : {1.5, 2.0, 4.0}) {
    const Congestion congestion{.lambda = 3, .power = power};
    const auto sigma = normal(random, {500}).abs() + 0.05;
    const auto i = normal(random, {500}).abs() + 0.01;
    const auto z = 1.01 + normal(random, {500}).abs();
    CHECK(congestion_intensity(congestion_price(i, sigma, congestion), sigma, congestion)
              .allclose(i, 1e-7, 1e-7));
    CHECK(congestion_price(congestion_intensity(z, sigma, congestion), sigma, congestion)
              .allclose(z, 1e-9, 1e-9));
    auto x = i.clone().set_requires_grad(true);
    congestion_cost(x, sigma, congestion).sum().backward();
    CHECK(x.grad().allclose(congestion_price(i, sigma, congestion), 1e-10, 1e-10));
    x = z.clone().set_requires_grad(true);
    congestion_conjugate(x, sigma, congestion).sum().backward();
    CHECK(x.grad().allclose(congestion_intensity(z, sigma, congestion), 1e-10, 1e-10));
  }
}

TEST_CASE(
    "power two is i + i^2 / (2 lambda sigma), and its conjugate the half square of the excess") {
  const auto i = at::tensor({0.0, 1.0, 3.0}, at::kDouble);
  const auto sigma = at::tensor({0.0, 0.5, 0.1}, at::kDouble);
  CHECK(congestion_cost(i, sigma, {.lambda = 10})
            .allclose(at::tensor({0.0, 1 + 1 / 10.0, 3 + 9 / 2.0}, at::kDouble)));
  const auto z = at::tensor({0.5, 3.0, 2.0}, at::kDouble);
  CHECK(congestion_conjugate(z, sigma, {.lambda = 10})
            .allclose(at::tensor({0.0, 2.5 * 4, 0.5 * 1}, at::kDouble)));
}

TEST_CASE("where there is neither density nor traffic, the gradient is the price of free flow") {
  const auto i = at::zeros({2}, at::kDouble).set_requires_grad(true);
  const auto sigma = at::tensor({0.0, 1.0}, at::kDouble);
  congestion_cost(i, sigma).sum().backward();
  CHECK(i.grad().equal(at::ones({2}, at::kDouble)));
}

TEST_CASE("traffic flows down the potential wherever it is steeper than one") {
  const auto gradient = matrix({{0.0, 0.0}, {0.6, 0.8}, {3.0, 4.0}});
  const auto sigma = at::tensor({1.0, 1.0, 0.5}, at::kDouble);
  // lambda sigma (5 - 1) = 20 against the direction (0.6, 0.8).
  const auto right = matrix({{0.0, 0.0}, {0.0, 0.0}, {-12.0, -16.0}});
  CHECK(optimal_traffic(gradient, sigma, {.lambda = 10}).allclose(right));
}

TEST_CASE(
    "two points: the interpolates are even between them, and the value is L + L^2 / (2 lambda)") {
  for (const double length : {1.0, 3.0}) {
    const Measure x{at::zeros({1}, at::kDouble), {}};
    const Measure y{at::full({1}, length, at::kDouble), {}};
    for (const double lambda : {1.0, 10.0}) {
      const auto found = congested_line(x, y, {.lambda = lambda}, 100);
      CHECK(found.value == doctest::Approx(length + length * length / (2 * lambda)).epsilon(1e-12));
      CHECK(found.transport == doctest::Approx(length).epsilon(1e-12));
      CHECK(found.density.allclose(at::full({100}, 1 / length, at::kDouble)));
    }
    CHECK(congested_line(x, x).value == 0);
  }
}

TEST_CASE("the density of interpolates of two uniform laws is the integral that it is") {
  const auto density = interpolation_density(uniform(0), uniform(1), 0, 2, 200);
  CHECK(value_of(density.sum()) / 100 == doctest::Approx(1).epsilon(1e-12));
  // For z < 1: the integral over x < z and y in (1, 2) of 1 / (y - x), which is log(2 - x) - log(1
  // - x) over x.
  const auto integral = [](double u) { return u * std::log(u) - u; };
  const auto at_point = [&](double z) {
    return (integral(2) - integral(2 - z)) - (-1 - integral(1 - z));
  };
  for (const int cell : {10, 50, 90}) {
    const double z = (cell + 0.5) / 100;
    CHECK(value_of(density[cell]) == doctest::Approx(at_point(z)).epsilon(2e-3));
    CHECK(value_of(density[199 - cell]) == doctest::Approx(at_point(z)).epsilon(2e-3));
  }
}

TEST_CASE("U[0,1] to U[1,2]: 1.0257 for the penalty 10 of WGAN-GP, 1.0514 for lambda 10") {
  // The flow is z, then 2 - z; the integral of its square over the density of interpolates
  // is 1.02826 (numerically, of the closed form above), over 2 lambda.
  const auto penalised = congested_line(uniform(0), uniform(1), Congestion::of_penalty(10));
  // A law of 1,000 points is within a step, a thousandth, of the even one.
  CHECK(penalised.transport == doctest::Approx(1).epsilon(1e-3));
  CHECK(penalised.value == doctest::Approx(1.0257).epsilon(1e-3));
  const auto literal = congested_line(uniform(0), uniform(1), {.lambda = 10});
  CHECK(literal.value == doctest::Approx(1.0514).epsilon(1e-3));
  CHECK(value_of(literal.flow.max()) == doctest::Approx(1).epsilon(1e-3));
}

}  // namespace perturb::transport
