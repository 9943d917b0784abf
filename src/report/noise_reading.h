// Makes one figure of a score under noise at several strengths (experiment/noise_curve.h).
#pragma once

#include <optional>
#include <span>

#include "perturb/report/observe.h"

namespace perturb {

/// The area under the scores over the strengths, by trapezoids, divided by the range of strengths:
/// the mean score. At least two strengths, ascending.
double noise_area(std::span<const double> strengths, std::span<const double> scores);

/// The least strength at which half of what the score without noise has over `chance` is lost,
/// linear between strengths of which the first is 0. Nothing if less is lost at all of them; NaN if
/// there is no gain to lose, or a score is NaN before half is lost. `better` is of the score.
std::optional<double> noise_half(std::span<const double> strengths, std::span<const double> scores,
                                 double chance, Better better);

/// The reading of a quantity of a noise curve from those of its metrics, one a strength. All of
/// them have to be of one state, or it is not measured. `better` is of the metrics.
Reading noise_reading(const Quantity& quantity, std::span<const double> strengths, Better better,
                      std::span<const Reading> parts);

}  // namespace perturb
