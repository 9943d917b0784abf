#include "perturb/report/statistics.h"

#include <cmath>

#include <doctest/doctest.h>

#include "perturb/core/random.h"
#include "statistics_values.h"

using namespace perturb;

TEST_CASE("quantiles of Student's t are SciPy's") {
  for (const Quantile& expected : kQuantiles) {
    CAPTURE(expected.p);
    CAPTURE(expected.degrees);
    // Near p = 1 the quantile hangs on 1 - p, which has lost digits already: 1e-9 is far below
    // what an interval shows.
    CHECK(student_t_quantile(expected.p, expected.degrees) ==
          doctest::Approx(expected.t).epsilon(1e-9));
  }
}

TEST_CASE("the distribution undoes the quantile, and is symmetric") {
  for (const Quantile& expected : kQuantiles) {
    CHECK(student_t_cdf(expected.t, expected.degrees) == doctest::Approx(expected.p).epsilon(1e-9));
    CHECK(student_t_cdf(-expected.t, expected.degrees) ==
          doctest::Approx(1 - student_t_cdf(expected.t, expected.degrees)).epsilon(1e-12));
  }
}

TEST_CASE("the incomplete beta function is SciPy's") {
  for (const Beta& expected : kBetas) {
    CAPTURE(expected.a);
    CAPTURE(expected.b);
    CAPTURE(expected.x);
    // lgamma of 5,000 leaves eleven digits.
    CHECK(std::fabs(incomplete_beta(expected.a, expected.b, expected.x) - expected.value) <
          1e-10 * std::max(expected.value, 1e-3));
  }
  CHECK(incomplete_beta(2, 3, 0) == 0);
  CHECK(incomplete_beta(2, 3, 1) == 1);
}

TEST_CASE("means, spreads and intervals are SciPy's") {
  for (const Described& expected : kDescribed) {
    const Sample sample = describe(expected.values);
    CHECK(sample.n == expected.values.size());
    CHECK(sample.mean == doctest::Approx(expected.mean).epsilon(1e-14));
    CHECK(sample.sd.value() == doctest::Approx(expected.sd).epsilon(1e-12));
    CHECK(sample.mean_interval->low == doctest::Approx(expected.low).epsilon(1e-12));
    CHECK(sample.mean_interval->high == doctest::Approx(expected.high).epsilon(1e-12));
  }
}

TEST_CASE("one value has no spread and no interval, none has no mean") {
  const std::vector<double> one = {0.7};
  CHECK(describe(one).mean == 0.7);
  CHECK_FALSE(describe(one).sd.has_value());
  CHECK_FALSE(describe(one).mean_interval.has_value());
  CHECK(describe({}).n == 0);
  CHECK(std::isnan(describe({}).mean));
}

TEST_CASE("intervals of normal samples cover the mean in 95 of 100 cases, even at n = 3") {
  // 20,000 draws: the share has a standard error of 0.0015, so that 0.006 is four of them.
  for (const std::size_t n : {3u, 5u, 10u}) {
    int covered = 0;
    constexpr int kDraws = 20'000;
    Random random(1, "coverage", n);
    for (int draw = 0; draw < kDraws; ++draw) {
      std::vector<double> values(n);
      for (double& value : values) value = 5 + 2 * static_cast<double>(random.normal());
      const Interval interval = *describe(values).mean_interval;
      covered += interval.low <= 5 && 5 <= interval.high;
    }
    CHECK(std::fabs(static_cast<double>(covered) / kDraws - 0.95) < 0.006);
  }
}

TEST_CASE("equal values have no spread, whatever their sum rounds to") {
  const std::vector<double> equal(3, 0.1);  // 0.1 + 0.1 + 0.1 is not 0.3
  CHECK(describe(equal).mean == 0.1);
  CHECK(describe(equal).sd == 0.0);
}

TEST_CASE("the interval of paired differences is that of SciPy's paired t-test") {
  for (const Paired& expected : kPaired) {
    std::vector<double> differences;
    for (std::size_t i = 0; i < expected.values.size(); ++i)
      differences.push_back(expected.values[i] - expected.controls[i]);
    const Interval interval = *describe(differences).mean_interval;
    CHECK(interval.low == doctest::Approx(expected.low).epsilon(1e-12));
    CHECK(interval.high == doctest::Approx(expected.high).epsilon(1e-12));
  }
}

TEST_CASE("Hedges' g is that of its definition, with SciPy's gamma function") {
  for (const Paired& expected : kPaired) {
    const auto g = hedges_g(expected.values, expected.controls);
    CHECK(g.value() == doctest::Approx(expected.g).epsilon(1e-12));
    // The other way round it is the other way round.
    CHECK(hedges_g(expected.controls, expected.values).value() == doctest::Approx(-*g));
  }
}

TEST_CASE("g's correction is known for few degrees of freedom, and goes away for many") {
  // Gamma(1) / Gamma(1/2) and Gamma(3/2) / (sqrt(3/2) Gamma(1)), with Gamma(1/2) = sqrt(pi).
  const double root = std::sqrt(std::acos(-1.0));
  CHECK(hedges_correction(2) == doctest::Approx(1 / root).epsilon(1e-14));
  CHECK(hedges_correction(3) == doctest::Approx(root / 2 / std::sqrt(1.5)).epsilon(1e-14));
  // Hedges' approximation 1 - 3 / (4 m - 1).
  CHECK(hedges_correction(50) == doctest::Approx(1 - 3.0 / 199).epsilon(1e-4));
  CHECK(hedges_correction(1e6) == doctest::Approx(1).epsilon(1e-6));
}

TEST_CASE("there is no g of two pairs, nor without any spread") {
  CHECK_FALSE(hedges_g(std::vector{1.0, 2.0}, std::vector{0.0, 0.5}).has_value());
  CHECK_FALSE(hedges_g({}, {}).has_value());
  const std::vector<double> ones(4, 0.1);
  const std::vector<double> twos(4, 0.3);
  CHECK_FALSE(hedges_g(ones, twos).has_value());
}

TEST_CASE("the sign-flip test is SciPy's") {
  for (const Flipped& expected : kFlipped) {
    CAPTURE(expected.differences.size());
    // Both count, so that only the division may differ.
    CHECK(sign_flip_p(expected.differences).value() == doctest::Approx(expected.p).epsilon(1e-14));
  }
}

TEST_CASE("differences that are equal on paper count as equal") {
  // Sums of these tie in decimal and differ in binary: 0.7 - 0.6 is not 0.8 - 0.7.
  const std::vector<double> differences = {0.7 - 0.6, 0.8 - 0.7, 0.9 - 0.8, 0.6 - 0.7, 0.5 - 0.4};
  REQUIRE(differences[0] != differences[1]);
  // Of 32 ways, 1 + 5 sum to at least 3 x 0.1 on each side.
  CHECK(sign_flip_p(differences).value() == doctest::Approx(12.0 / 32).epsilon(1e-14));
}

TEST_CASE("no p is below 2/2^n, and one difference has none") {
  for (std::size_t n = 2; n <= kExactSigns; ++n) {
    const std::vector<double> clear(n, 0.25);
    CHECK(sign_flip_p(clear).value() == least_sign_flip_p(n));
  }
  CHECK(least_sign_flip_p(5) == 0.0625);
  CHECK_FALSE(sign_flip_p(std::vector{1.0}).has_value());
  CHECK_FALSE(sign_flip_p({}).has_value());
  CHECK(sign_flip_p(std::vector{0.0, 0.0, 0.0}) == 1.0);
}

TEST_CASE("beyond twenty differences signs are drawn: near the count, never 0, always the same") {
  const double p = sign_flip_p(kFlippedMany.differences).value();
  // The share of 100,000 draws has a standard error of sqrt(p (1 - p) / 100,000); four of them.
  CHECK(std::fabs(p - kFlippedMany.p) <
        4 * std::sqrt(kFlippedMany.p * (1 - kFlippedMany.p) / 100'000));
  CHECK(p == sign_flip_p(kFlippedMany.differences).value());
  CHECK(sign_flip_p(std::vector<double>(40, 1.0)).value() == doctest::Approx(1 / 100'001.0));
}

TEST_CASE("the sign-flip test gives false alarms as often as it says") {
  // 5,000 samples of n = 8 without an effect: p <= 0.05 in at most 5%, plus four standard errors.
  Random random(2, "false alarms");
  int alarms = 0;
  constexpr int kDraws = 5'000;
  for (int draw = 0; draw < kDraws; ++draw) {
    std::vector<double> differences(8);
    for (double& difference : differences) difference = static_cast<double>(random.normal());
    alarms += sign_flip_p(differences).value() <= 0.05;
  }
  CHECK(static_cast<double>(alarms) / kDraws < 0.05 + 4 * std::sqrt(0.05 * 0.95 / kDraws));
  CHECK(static_cast<double>(alarms) / kDraws > 0.03);  // 12/256 = 0.047 can be reached
}

TEST_CASE("Holm's correction is statsmodels'") {
  for (const Corrected& expected : kCorrected) {
    const std::vector<double> corrected = holm(expected.p);
    REQUIRE(corrected.size() == expected.holm.size());
    for (std::size_t i = 0; i < corrected.size(); ++i)
      CHECK(corrected[i] == doctest::Approx(expected.holm[i]).epsilon(1e-14));
  }
  CHECK(holm({}).empty());
}

TEST_CASE("wins are counted the way the metric says, ties for neither") {
  const std::vector<Pair> pairs = {{0.7, 0.6, 0.1}, {0.5, 0.6, -0.1}, {0.6, 0.6, 0}, {1, 0.5, 0.5}};
  CHECK(compare(pairs, Better::Higher).wins == 2);
  CHECK(compare(pairs, Better::Lower).wins == 1);
  CHECK(compare(pairs, Better::Neither).wins == 2);
  CHECK(compare(pairs, Better::Lower).ties == 1);
  CHECK(compare(pairs, Better::Higher).difference.mean == doctest::Approx(0.125));
  CHECK(compare({}, Better::Higher).difference.n == 0);
  CHECK_FALSE(compare({}, Better::Higher).p.has_value());
}
