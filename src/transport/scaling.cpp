#include "transport/scaling.h"

#include <algorithm>
#include <cmath>
#include <numeric>

#include "transport/anderson.h"

namespace perturb::transport {
namespace {

void scale(Doubles& values, double factor) {
  if (factor == 1) return;
  for (auto& value : values) value *= factor;
}

void average(Doubles& old, const Doubles& next) {
  for (std::size_t i = 0; i < old.size(); ++i) old[i] = (old[i] + next[i]) / 2;
}

double total(const Doubles& weights) {
  return std::accumulate(weights.begin(), weights.end(), 0.0);
}

/// The dual value where f is the softmin of g, damped: sum a price(f) + sum b price(g) - eps (mass
/// of the plan).
double dual_value(const Softmin& softmin, double epsilon, const Reach& reach,
                  const Doubles& undamped, const Doubles& f, const Doubles& g) {
  double value = 0;
  for (std::size_t i = 0; i < f.size(); ++i) {
    const double row = undamped[i] == f[i] ? 1 : std::exp((f[i] - undamped[i]) / epsilon);
    value += softmin.a()[i] * (reach.price(f[i]) - epsilon * row);
  }
  for (std::size_t j = 0; j < g.size(); ++j) value += softmin.b()[j] * reach.price(g[j]);
  return value;
}

}  // namespace

double mismatch(const Doubles& weights, const Doubles& now, const Doubles& right, double epsilon) {
  double sum = 0;
  for (std::size_t i = 0; i < weights.size(); ++i) {
    if (weights[i] > 0)
      sum += weights[i] * std::min(1.0, std::abs(std::expm1((now[i] - right[i]) / epsilon)));
  }
  return sum / total(weights);
}

double Reach::damping(double epsilon) const { return std::isinf(rho) ? 1 : rho / (rho + epsilon); }

double Reach::price(double potential) const {
  return std::isinf(rho) ? potential : -rho * std::expm1(-potential / rho);
}

Doubles temperatures(double high, double low, double scaling) {
  Doubles out;
  if (high > low && scaling < 1) {
    out.push_back(high);
    // As geomloss counts them: the first twice.
    for (double e = std::log(high); e > std::log(low); e += std::log(scaling))
      out.push_back(std::exp(e));
  }
  out.push_back(low);
  return out;
}

Potentials anneal(Softmin& softmin, const Doubles& epsilons, const Reach& reach) {
  const Doubles zero_f(softmin.a().size(), 0);
  const Doubles zero_g(softmin.b().size(), 0);
  Potentials now;
  softmin.both(epsilons[0], zero_f, zero_g, now.f, now.g);
  scale(now.f, reach.damping(epsilons[0]));
  scale(now.g, reach.damping(epsilons[0]));
  Potentials next;
  for (const double epsilon : epsilons) {
    softmin.both(epsilon, now.f, now.g, next.f, next.g);
    scale(next.f, reach.damping(epsilon));
    scale(next.g, reach.damping(epsilon));
    average(now.f, next.f);
    average(now.g, next.g);
  }
  return now;
}

Settled settle(Softmin& softmin, double epsilon, const Reach& reach, double tolerance, int limit,
               Potentials& potentials) {
  auto& [f, g] = potentials;
  auto share = softmin.b();
  scale(share, 1 / total(share));
  Anderson anderson(share, std::isinf(reach.rho));
  const double damping = reach.damping(epsilon);
  double best = -std::numeric_limits<double>::infinity();
  Doubles undamped, unused, plain;
  const auto update_f = [&] {
    softmin.both(epsilon, f, g, undamped, unused);
    f = undamped;
    scale(f, damping);
    return dual_value(softmin, epsilon, reach, undamped, f, g);
  };
  Settled out;
  out.error = std::numeric_limits<double>::infinity();
  while (out.iterations < limit) {
    ++out.iterations;
    double value = update_f();
    const double slack = softmin.rounding() * (std::abs(best) + epsilon);
    if (!(value >= best - slack) && !plain.empty()) {
      anderson.forget();
      g = plain;
      value = update_f();
    }
    best = value;
    softmin.both(epsilon, f, g, unused, plain);
    scale(plain, damping);
    out.error = mismatch(softmin.b(), g, plain, epsilon);
    if (out.error <= tolerance || out.iterations == limit) break;
    g = anderson.next(g, plain);
  }
  return out;
}

Settled settle_within(Softmin& softmin, double epsilon, const Reach& reach, double tolerance,
                      int limit, Potentials& potentials) {
  auto& f = potentials.f;
  Doubles next, unused;
  Settled out;
  out.error = std::numeric_limits<double>::infinity();
  while (out.iterations < limit) {
    ++out.iterations;
    softmin.both(epsilon, f, f, next, unused);
    scale(next, reach.damping(epsilon));
    out.error = mismatch(softmin.a(), f, next, epsilon);
    average(f, next);
    if (out.error <= tolerance) break;
  }
  potentials.g = f;
  return out;
}

}  // namespace perturb::transport
