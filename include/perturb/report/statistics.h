// Statistics of replicates: means, spreads, and intervals from Student's t. Not a percentile
// bootstrap, which covers 75% at n = 3 where t covers 95% (design.md, section 6).
#pragma once

#include <cstddef>
#include <optional>
#include <span>

namespace perturb {

struct Interval {
  double low = 0;
  double high = 0;
};

/// A sample in figures.
struct Sample {
  std::size_t n = 0;
  double mean = 0;                        ///< NaN if n = 0
  std::optional<double> sd;               ///< with n - 1; nothing if n < 2
  std::optional<Interval> mean_interval;  ///< 95%; nothing if n < 2: one value has no spread
};

/// Figures of `values`, which must be finite or the figures are not.
Sample describe(std::span<const double> values);

/// I_x(a, b), the regularised incomplete beta function, by its continued fraction (Lentz);
/// Press et al., Numerical Recipes (2007), section 6.4. 0 <= x <= 1, a > 0, b > 0.
double incomplete_beta(double a, double b, double x);

/// P(T <= t) for Student's t with that many degrees of freedom (> 0, need not be whole).
double student_t_cdf(double t, double degrees);

/// The t with P(T <= t) = p; 0 < p < 1.
double student_t_quantile(double p, double degrees);

}  // namespace perturb
