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
