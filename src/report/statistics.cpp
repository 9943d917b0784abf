#include "perturb/report/statistics.h"

#include <algorithm>
#include <cassert>
#include <cmath>
#include <functional>
#include <limits>

namespace perturb {

namespace {

double continued_fraction(double a, double b, double x) {
  constexpr int kTerms = 10'000;  // O(sqrt(max(a, b))) are needed
  constexpr double kTiny = 1e-300;
  const auto away_from_zero = [](double v) { return std::fabs(v) < kTiny ? kTiny : v; };
  double c = 1;
  double d = 1 / away_from_zero(1 - (a + b) * x / (a + 1));
  double h = d;
  for (int m = 1; m <= kTerms; ++m) {
    const double even = m * (b - m) * x / ((a + 2 * m - 1) * (a + 2 * m));
    d = 1 / away_from_zero(1 + even * d);
    c = away_from_zero(1 + even / c);
    h *= d * c;
    const double odd = -(a + m) * (a + b + m) * x / ((a + 2 * m) * (a + 2 * m + 1));
    d = 1 / away_from_zero(1 + odd * d);
    c = away_from_zero(1 + odd / c);
    const double step = d * c;
    h *= step;
    if (std::fabs(step - 1) < std::numeric_limits<double>::epsilon()) break;
  }
  return h;
}

/// P(T > t) for t >= 0, accurate where it is tiny.
double upper_tail(double t, double degrees) {
  return incomplete_beta(degrees / 2, 0.5, degrees / (degrees + t * t)) / 2;
}

/// Of Student's t.
double density(double t, double degrees) {
  return std::exp(std::lgamma((degrees + 1) / 2) - std::lgamma(degrees / 2) -
                  (degrees + 1) / 2 * std::log1p(t * t / degrees)) /
         std::sqrt(degrees * std::acos(-1.0));
}

}  // namespace

double incomplete_beta(double a, double b, double x) {
  assert(a > 0 && b > 0 && x >= 0 && x <= 1);
  if (x == 0 || x == 1) return x;
  const double front = std::exp(std::lgamma(a + b) - std::lgamma(a) - std::lgamma(b) +
                                a * std::log(x) + b * std::log1p(-x));
  // The fraction converges fast on one side of the mean; the other is its mirror.
  if (x < (a + 1) / (a + b + 2)) return front * continued_fraction(a, b, x) / a;
  return 1 - front * continued_fraction(b, a, 1 - x) / b;
}

double student_t_cdf(double t, double degrees) {
  return t < 0 ? upper_tail(-t, degrees) : 1 - upper_tail(t, degrees);
}

double student_t_quantile(double p, double degrees) {
  assert(p > 0 && p < 1 && degrees > 0);
  if (p == 0.5) return 0;
  if (p < 0.5) return -student_t_quantile(1 - p, degrees);
  const double tail = 1 - p;
  double low = 0;
  double high = 1;
  while (upper_tail(high, degrees) > tail) high *= 2;
  // Newton's method, and bisection where it would leave what is known to hold the answer.
  double t = (low + high) / 2;
  while (low < t && t < high) {
    const double excess = upper_tail(t, degrees) - tail;
    if (excess == 0) return t;
    (excess > 0 ? low : high) = t;
    double next = t + excess / density(t, degrees);
    if (!(low < next && next < high)) next = low + (high - low) / 2;
    if (std::fabs(next - t) <= 4 * std::numeric_limits<double>::epsilon() * t) return next;
    t = next;
  }
  return t;
}

Sample describe(std::span<const double> values) {
  Sample sample;
  sample.n = values.size();
  sample.mean = std::numeric_limits<double>::quiet_NaN();
  if (values.empty()) return sample;
  const auto n = static_cast<double>(values.size());
  double sum = 0;
  for (const double value : values) sum += value;
  sample.mean = sum / n;
  // Equal values have no spread at all, though their sum, divided, may miss them by a digit.
  if (std::ranges::adjacent_find(values, std::ranges::not_equal_to()) == values.end())
    sample.mean = values.front();
  if (values.size() < 2) return sample;
  // Two passes: one pass over squares loses the spread of values that are nearly equal.
  double squares = 0;
  for (const double value : values) squares += (value - sample.mean) * (value - sample.mean);
  sample.sd = std::sqrt(squares / (n - 1));
  const double half = student_t_quantile(0.975, n - 1) * *sample.sd / std::sqrt(n);
  sample.mean_interval = Interval{sample.mean - half, sample.mean + half};
  return sample;
}

}  // namespace perturb
