#include "perturb/transport/divergence.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>

#include <ATen/ATen.h>

#include "transport/envelope.h"
#include "transport/last_update.h"

namespace perturb::transport {
namespace {

void check(const Measure& alpha, const Measure& beta, const DivergenceOptions& options) {
  constexpr double kLeast = std::numeric_limits<double>::min();
  constexpr double kMost = std::numeric_limits<double>::max();
  check_pair(alpha, beta);
  check_number("options.p", options.p, 1, 2);
  check_number("options.blur", options.blur, kLeast, kMost);
  check_number("options.scaling", options.scaling, kLeast, 1 - 0x1p-53);
  check_number("options.diameter", options.diameter, 0, kMost);
  check_number("options.reach", options.reach, 0, kMost);
  check_number("options.tolerance", options.tolerance, 0, kMost);
  check_number("options.max_iterations", options.max_iterations, 0, kMost);
}

/// The diagonal of the smallest box around both clouds.
double extent(const Clouds& clouds) {
  double square = 0;
  const auto d = static_cast<std::size_t>(clouds.dimensions);
  for (std::size_t k = 0; k < d; ++k) {
    double low = std::numeric_limits<double>::infinity();
    double high = -low;
    for (const auto* points : {&clouds.x, &clouds.y}) {
      for (std::size_t i = k; i < points->size(); i += d) {
        low = std::min(low, (*points)[i]);
        high = std::max(high, (*points)[i]);
      }
    }
    square += (high - low) * (high - low);
  }
  return std::sqrt(square);
}

/// One divergence: what its three problems (between the clouds, and within each) have in common.
class Loop {
 public:
  Loop(const Measure& alpha, const Measure& beta, const DivergenceOptions& options)
      : options_(options), epsilon_(std::pow(options.blur, options.p)) {
    clouds_.x = doubles(alpha.points);
    clouds_.y = doubles(beta.points);
    clouds_.a = masses(alpha);
    clouds_.b = masses(beta);
    clouds_.dimensions = coordinates(alpha);
    clouds_.ground = options.p == 2 ? Ground::HalfSquare : Ground::Distance;
    if (options.reach > 0) {
      reach_.rho = std::pow(options.reach, options.p);
    } else {
      clouds_.a = proportions(std::move(clouds_.a));
      clouds_.b = proportions(std::move(clouds_.b));
    }
    const double diameter = options.diameter > 0 ? options.diameter : extent(clouds_);
    const double high = std::pow(diameter, options.p);
    epsilons_ = temperatures(high, epsilon_, std::pow(options.scaling, options.p));
    const bool single =
        alpha.points.scalar_type() != at::kDouble && beta.points.scalar_type() != at::kDouble;
    annealing_ = single ? Precision::Single : Precision::Double;
    // Single precision cannot settle what is finer than the rounding of the greatest cost.
    const double rounding = high / epsilon_ * std::numeric_limits<float>::epsilon();
    settling_ = single && rounding < options.tolerance / 4 ? Precision::Single : Precision::Double;
  }

  const Clouds& clouds() const { return clouds_; }
  const Reach& reach() const { return reach_; }
  double epsilon() const { return epsilon_; }

  /// Potentials before the last update.
  Potentials between(Settled& settled) const {
    const auto make = [&](Precision precision) {
      return softmin_between(clouds_, precision, options_.matrix_entries);
    };
    auto softmin = make(annealing_);
    auto potentials = anneal(*softmin, epsilons_, reach_);
    if (options_.max_iterations == 0) return potentials;
    if (settling_ != annealing_) softmin = make(settling_);
    settled =
        settle(*softmin, epsilon_, reach_, options_.tolerance, options_.max_iterations, potentials);
    return potentials;
  }

  Potentials within(const Clouds& cloud) const {
    const auto make = [&](Precision precision) {
      return softmin_within(cloud, precision, options_.matrix_entries);
    };
    auto softmin = make(annealing_);
    auto potentials = anneal(*softmin, epsilons_, reach_);
    if (options_.max_iterations == 0) return potentials;
    if (settling_ != annealing_) softmin = make(settling_);
    // It converges by itself, so that its share of the error can be small.
    settle_within(*softmin, epsilon_, reach_, options_.tolerance / 10, options_.max_iterations,
                  potentials);
    return potentials;
  }

  LastUpdate last(const Clouds& clouds, const Potentials& former, bool with_gradient) const {
    auto update = last_update(clouds, epsilon_, former, with_gradient);
    const double damping = reach_.damping(epsilon_);
    for (auto* side : {&update.potentials.f, &update.potentials.g}) {
      for (auto& potential : *side) potential *= damping;
    }
    return update;
  }

 private:
  const DivergenceOptions& options_;
  double epsilon_;
  Clouds clouds_;
  Reach reach_;
  Doubles epsilons_;
  Precision annealing_ = Precision::Double;
  Precision settling_ = Precision::Double;
};

Clouds with_itself(const Doubles& points, const Doubles& weights, const Clouds& like) {
  return {points, points, weights, weights, like.dimensions, like.ground};
}

/// What one cloud contributes: the price of its potential, less that of the potential within.
struct Contribution {
  double value = 0;
  Doubles points, weights;  ///< slopes

  Contribution(const Loop& loop, const Doubles& mass, const Doubles& potential,
               const Doubles& slope, const LastUpdate* self) {
    const double rho = loop.reach().rho;
    const double epsilon = loop.epsilon();
    const bool balanced = std::isinf(rho);
    const double for_value = balanced ? 1 : (rho + epsilon / 2) / rho;
    const double for_slope = balanced ? 1 : (rho + epsilon) / rho;
    const auto sent = [&](double f) { return balanced ? 1 : std::exp(-f / rho); };
    const auto n = mass.size();
    const auto d = slope.size() / n;
    points.resize(slope.size());
    weights.resize(n);
    for (std::size_t i = 0; i < n; ++i) {
      double price = loop.reach().price(potential[i]);
      if (self) price -= loop.reach().price(self->potentials.f[i]);
      value += for_value * mass[i] * price;
      weights[i] = for_slope * price;
      for (std::size_t k = i * d; k < (i + 1) * d; ++k) {
        points[k] = mass[i] * sent(potential[i]) * slope[k];
        if (self) points[k] -= mass[i] * sent(self->potentials.f[i]) * self->x[k];
      }
    }
  }
};

}  // namespace

Divergence sinkhorn_divergence(const Measure& alpha, const Measure& beta,
                               const DivergenceOptions& options) {
  check(alpha, beta, options);
  const Loop loop(alpha, beta, options);
  const auto& clouds = loop.clouds();
  const bool gradient = wants_gradient(alpha.points) || wants_gradient(beta.points);
  Settled settled;
  const auto former = loop.between(settled);
  const auto cross = loop.last(clouds, former, gradient);
  const auto& [f, g] = cross.potentials;
  if (options.max_iterations == 0) {
    settled.error = std::max(mismatch(clouds.a, former.f, f, loop.epsilon()),
                             mismatch(clouds.b, former.g, g, loop.epsilon()));
  }
  LastUpdate self_a, self_b;
  if (options.debias) {
    const auto a = with_itself(clouds.x, clouds.a, clouds);
    const auto b = with_itself(clouds.y, clouds.b, clouds);
    self_a = loop.last(a, loop.within(a), gradient);
    self_b = loop.last(b, loop.within(b), gradient);
  }
  Contribution of_a(loop, clouds.a, f, cross.x, options.debias ? &self_a : nullptr);
  Contribution of_b(loop, clouds.b, g, cross.y, options.debias ? &self_b : nullptr);
  double value = of_a.value + of_b.value;
  if (options.reach > 0 && !options.debias) {
    // What the masses alone contribute; in the debiased value these parts cancel.
    const double mass_a = std::accumulate(clouds.a.begin(), clouds.a.end(), 0.0);
    const double mass_b = std::accumulate(clouds.b.begin(), clouds.b.end(), 0.0);
    value += loop.epsilon() * (mass_a * mass_b - (mass_a + mass_b) / 2);
    for (auto& slope : of_a.weights) slope += loop.epsilon() * (mass_b - 1);
    for (auto& slope : of_b.weights) slope += loop.epsilon() * (mass_a - 1);
  }
  const auto slope_of = [&](const Measure& measure, const Doubles& slope) {
    return options.reach > 0 || !measure.weights.defined()
               ? slope
               : through_proportions(slope, doubles(measure.weights));
  };

  Divergence out;
  out.convergence =
      settled.error <= options.tolerance ? Convergence::Reached : Convergence::IterationLimit;
  out.iterations = settled.iterations;
  out.error = settled.error;
  out.f = tensor_of(f, {alpha.points.size(0)});
  out.g = tensor_of(g, {beta.points.size(0)});
  out.value = with_slopes(value, alpha.points,
                          {{alpha.points, of_a.points},
                           {beta.points, of_b.points},
                           {alpha.weights, slope_of(alpha, of_a.weights)},
                           {beta.weights, slope_of(beta, of_b.weights)}});
  return out;
}

Tensor w2(const Measure& alpha, const Measure& beta, const DivergenceOptions& options) {
  if (options.p != 2) reject("options.p", "w2 is for p = 2");
  return root(2 * sinkhorn_divergence(alpha, beta, options).value, 2);
}

Tensor entropic_map(const Measure& alpha, const Measure& beta, const DivergenceOptions& options) {
  check(alpha, beta, options);
  if (options.p != 2) reject("options.p", "the mean of images is optimal for p = 2");
  const Loop loop(alpha, beta, options);
  Settled settled;
  const auto cross = loop.last(loop.clouds(), loop.between(settled), true);
  auto images = loop.clouds().x;
  for (std::size_t k = 0; k < images.size(); ++k) images[k] -= cross.x[k];
  return tensor_like(alpha.points, images, alpha.points.sizes().vec());
}

}  // namespace perturb::transport
