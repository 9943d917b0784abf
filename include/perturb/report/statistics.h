// Statistics of replicates and of their differences from a control. Intervals are Student's t, not
// a percentile bootstrap, which covers 75% at n = 3 where t covers 95% (design.md, section 6); the
// test is exact, since a handful of replicates has no asymptotics. docs/statistics.md is for users.
#pragma once

#include <cstddef>
#include <optional>
#include <span>
#include <vector>

#include "perturb/experiment/schema.h"

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

/// What removes the bias of a standardised mean difference of which the standard deviation has
/// that many degrees of freedom (> 1): Gamma(m/2) / (sqrt(m/2) Gamma((m-1)/2)).
/// Hedges, Distribution theory for Glass's estimator of effect size (1981).
double hedges_correction(double degrees);

/// Hedges' g of paired values, in units of the average spread of both sides:
///     g = J(n - 1) mean(value - control) / sqrt((sd(value)^2 + sd(control)^2) / 2)
/// Cumming, Understanding the New Statistics (2012), chapter 11; Lakens, Calculating and reporting
/// effect sizes (2013), calls it g_av. Nothing if n < 3, where J is 0, or without any spread.
std::optional<double> hedges_g(std::span<const double> values, std::span<const double> controls);

/// The two-sided p of "no effect", under which every difference might as well have the other
/// sign: the share of the 2^n ways to put signs at which |sum| is at least what was seen. Beyond
/// kExactSigns differences 100,000 addressed random ways stand for all, and what was seen is
/// counted as one of them: (b + 1) / (m + 1). Nothing if n < 2: p would be 1 whatever is seen.
///
/// Fisher, The Design of Experiments (1935), section 21; Phipson & Smyth, Permutation p-values
/// should never be zero (2010).
std::optional<double> sign_flip_p(std::span<const double> differences);
inline constexpr std::size_t kExactSigns = 20;
/// The least p that so many differences can have: 2 / 2^n.
double least_sign_flip_p(std::size_t n);

/// Each p corrected for being one of them all, by Holm's step-down procedure: the chance of any
/// false alarm stays under the level, whatever their dependence.
/// Holm, A simple sequentially rejective multiple test procedure (1979).
std::vector<double> holm(std::span<const double> p);

/// An intervention against its control, in pairs.
struct Comparison {
  Sample difference;               ///< intervention minus control
  std::optional<double> hedges_g;  ///< see there
  std::size_t wins = 0;            ///< pairs in which the intervention is better, or else higher
  std::size_t ties = 0;            ///< pairs without any difference; the rest are losses
  std::optional<double> p;         ///< of sign_flip_p
  std::optional<double> p_holm;    ///< set by whoever knows what it is one of
};

/// One pair. The difference is kept: of averages it is the average of differences, which is 0
/// exactly where all of them are.
struct Pair {
  double value = 0;
  double control = 0;
  double difference = 0;
};
Comparison compare(std::span<const Pair> pairs, Better better);

/// I_x(a, b), the regularised incomplete beta function, by its continued fraction (Lentz);
/// Press et al., Numerical Recipes (2007), section 6.4. 0 <= x <= 1, a > 0, b > 0.
double incomplete_beta(double a, double b, double x);

/// P(T <= t) for Student's t with that many degrees of freedom (> 0, need not be whole).
double student_t_cdf(double t, double degrees);

/// The t with P(T <= t) = p; 0 < p < 1.
double student_t_quantile(double p, double degrees);

}  // namespace perturb
