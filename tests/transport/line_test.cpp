#include "perturb/transport/line.h"

#include "perturb/transport/cost.h"
#include "perturb/transport/discrete.h"
#include "transport/examples.h"

namespace perturb::transport {
namespace {

Tensor numbers(const std::vector<double>& values) { return at::tensor(values, at::kDouble); }

const std::vector<double> kData = {.1, .2, .11, .11, .05, .02, .03, .05, .11, .15, .07};

/// Binomial(count, p) on its first `bins` values.
Tensor binomial(int count, const Tensor& p, int bins) {
  const auto k = at::arange(bins, at::kDouble);
  const auto choose = (at::lgamma(at::full({}, count + 1.0, at::kDouble)) - at::lgamma(k + 1) -
                       at::lgamma(count - k + 1))
                          .exp();
  return choose * p.pow(k) * (1 - p).pow(count - k);
}

}  // namespace

TEST_CASE("on a line the cost is the cheapest of all plans, for any power") {
  Random random(1, "line");
  for (int repeat = 0; repeat < 60; ++repeat) {
    const auto n = static_cast<std::int64_t>(1 + random.below(9));
    const auto m = static_cast<std::int64_t>(1 + random.below(9));
    const auto x = normal(random, {n});
    const auto y = normal(random, {m});
    const auto a = random_weights(random, n, repeat % 2 == 1);
    const auto b = random_weights(random, m, repeat % 3 == 1);
    for (const double p : {1.0, 1.5, 2.0, 3.0}) {
      const auto exact = discrete_transport(a, b, distance_powers(x, y, p));
      // The same sum of at most 17 terms, in another order.
      CHECK(value_of(line_cost({x, a}, {y, b}, p)) ==
            doctest::Approx(value_of(exact.cost)).epsilon(1e-12));
    }
  }
}

TEST_CASE("the line's distance is a metric that a shift and a scale pass through") {
  Random random(2, "line");
  for (const double p : {1.0, 2.0, 4.0}) {
    const Measure u{normal(random, {20}), random_weights(random, 20)};
    const Measure v{normal(random, {15}), random_weights(random, 15)};
    const Measure w{normal(random, {30}), {}};
    const auto d = [&](const Measure& x, const Measure& y) {
      return value_of(line_distance(x, y, p));
    };
    CHECK(d(u, u) == 0);
    CHECK(d(u, v) == doctest::Approx(d(v, u)).epsilon(1e-13));
    CHECK(d(u, w) <= d(u, v) + d(v, w) + 1e-13);
    CHECK(d(u, {u.points + 3, u.weights}) == doctest::Approx(3).epsilon(1e-13));
    CHECK(d({5 * u.points, u.weights}, {5 * v.points, v.weights}) ==
          doctest::Approx(5 * d(u, v)).epsilon(1e-13));
    CHECK(d({u.points, 7 * u.weights}, v) == doctest::Approx(d(u, v)).epsilon(1e-13));
  }
}

TEST_CASE("the line's cost has the gradient of finite differences, in points and weights") {
  Random random(3, "line");
  const auto x = normal(random, {7});
  const auto y = normal(random, {5});
  const auto a = random_weights(random, 7);
  const auto b = random_weights(random, 5);
  for (const double p : {1.0, 2.0, 2.5}) {
    // Piecewise smooth; the differences' own error is step^2.
    check_gradient([&](const Tensor& t) { return line_cost({t, a}, {y, b}, p); }, x, 1e-7);
    check_gradient([&](const Tensor& t) { return line_distance({x, a}, {t, b}, p); }, y, 1e-7);
    check_gradient([&](const Tensor& t) { return line_cost({x, t}, {y, b}, p); }, a, 1e-7);
    check_gradient([&](const Tensor& t) { return line_cost({x, a}, {y, t}, p); }, b, 1e-7);
  }
}

TEST_CASE("histograms: both normalisations, as the seminar has them") {
  const auto uniform = at::full({10}, 0.1, at::kDouble);
  const auto rising = at::arange(10, at::kDouble) / 45;
  // To the eight digits that are given.
  CHECK(value_of(mean_histogram_distance(uniform, uniform)) == 0);
  CHECK(value_of(mean_histogram_distance(uniform, rising)) ==
        doctest::Approx(.18333333).epsilon(1e-7));
  CHECK(value_of(mean_histogram_distance(rising.flip(0), rising)) ==
        doctest::Approx(.36666667).epsilon(1e-7));
  CHECK(value_of(histogram_distance(uniform, rising)) == doctest::Approx(1.8333333).epsilon(1e-7));

  const auto data = numbers(kData);
  CHECK(value_of(mean_histogram_distance(data, at::full({11}, 1 / 11.0, at::kDouble))) ==
        doctest::Approx(.064876).epsilon(1e-5));
  const auto p = at::full({}, .41, at::kDouble);
  CHECK(value_of(mean_histogram_distance(data, binomial(11, p, 11))) ==
        doctest::Approx(.179359).epsilon(1e-5));
}

TEST_CASE("a histogram's distance is the line's on its bins") {
  Random random(4, "line");
  const auto bins = at::arange(12, at::kDouble);
  const auto p = random_weights(random, 12, true);
  const auto q = random_weights(random, 12);
  CHECK(value_of(histogram_distance(p, q)) ==
        doctest::Approx(value_of(line_distance({bins, p}, {bins, q}))).epsilon(1e-13));
  CHECK(value_of(mean_histogram_distance(p, q)) ==
        doctest::Approx(value_of(line_distance({bins / 12, p}, {bins / 12, q}))).epsilon(1e-13));
  // Where both have the same mass in all, the last bin is at the kink of its absolute value.
  check_gradient([&](const Tensor& t) { return histogram_distance(t, q); }, p + 0.01, 1e-7);
  check_gradient([&](const Tensor& t) { return mean_histogram_distance(p, t); }, q * 1.1, 1e-7);
}

TEST_CASE("the profile of binomials has its minima where the seminar's data has them") {
  const auto data = numbers(kData);
  const auto profile = [&](int count, double p) {
    return value_of(
        mean_histogram_distance(data, binomial(count, at::full({}, p, at::kDouble), 11)));
  };
  struct Minimum {
    int count;
    double p, value;
  };
  for (const auto& [count, p, value] :
       {Minimum{11, .31695, .17156}, Minimum{11, .3865, .17290}, Minimum{11, .4665, .18333},
        Minimum{10, .34775, .17412}, Minimum{10, .42475, .17657}, Minimum{10, .51325, .18866}}) {
    CAPTURE(p);
    CHECK(profile(count, p) == doctest::Approx(value).epsilon(1e-4));
    // A kink of absolute values: it rises to both sides.
    CHECK(profile(count, p) < profile(count, p - 0.002));
    CHECK(profile(count, p) < profile(count, p + 0.002));
  }
}

}  // namespace perturb::transport
