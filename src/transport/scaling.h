// The iterations on potentials: down the temperatures, then at the last one until the marginals are
// right. Knows nothing of points, and nothing of how a softmin is computed.
#pragma once

#include <limits>

#include "transport/softmin.h"

namespace perturb::transport {

struct Potentials {
  Doubles f, g;
};

/// What mass that is created or destroyed costs, as a Kullback-Leibler divergence; infinite: none
/// may be.
struct Reach {
  double rho = std::numeric_limits<double>::infinity();

  /// What multiplies a softmin.
  double damping(double epsilon) const;
  /// The price that a potential collects from a unit of mass: f, or rho (1 - exp(-f / rho)).
  double price(double potential) const;
};

/// How far a marginal is from `weights`, as a share of the mass, if its potential is `now` and
/// should be `right`.
double mismatch(const Doubles& weights, const Doubles& now, const Doubles& right, double epsilon);

/// From `high` down by the factor `scaling` to `low`; both are in it, `high` only if it is greater.
Doubles temperatures(double high, double low, double scaling);

/// Starts from the softmins of zero at the first temperature; then one averaged update of both
/// sides at each.
Potentials anneal(Softmin& softmin, const Doubles& epsilons, const Reach& reach);

struct Settled {
  int iterations = 0;
  double error = 0;  ///< share of the mass that the marginals miss
};

/// Alternating updates at one temperature until the error is at most `tolerance`, or `limit` of
/// them. Extrapolated from the last few (Anderson, 1965), as long as that raises the dual value,
/// which a plain update never lowers. f ends as the exact softmin of g.
Settled settle(Softmin& softmin, double epsilon, const Reach& reach, double tolerance, int limit,
               Potentials& potentials);

/// The same between a cloud and itself, by averaged updates, which converge fast there.
Settled settle_within(Softmin& softmin, double epsilon, const Reach& reach, double tolerance,
                      int limit, Potentials& potentials);

}  // namespace perturb::transport
