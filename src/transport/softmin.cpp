#include "transport/softmin.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <numbers>

namespace perturb::transport {
namespace {

template <class T>
class SoftminIn final : public Softmin {
 public:
  SoftminIn(PairCosts<T> costs, const Doubles& a, const Doubles& b, bool symmetric)
      : costs_(std::move(costs)),
        symmetric_(symmetric),
        weights_a_(narrowed(a, 1, static_cast<std::size_t>(costs_.n + 3))),
        weights_b_(narrowed(b, 1, static_cast<std::size_t>(costs_.stride))) {
    a_ = a;
    b_ = b;
  }

  double rounding() const override { return sizeof(T) == sizeof(float) ? 1e-6 : 1e-13; }

  void both(double epsilon, const Doubles& f, const Doubles& g, Doubles& next_f,
            Doubles& next_g) override {
    const double scale = std::numbers::log2e / epsilon;
    const auto scaled_f = narrowed(f, scale, weights_a_.size());
    const auto scaled_g = narrowed(g, scale, weights_b_.size());
    softmin_pass<T>({.costs = costs_,
                     .scale = static_cast<T>(scale),
                     .f = scaled_f.data(),
                     .g = scaled_g.data(),
                     .a = weights_a_.data(),
                     .b = weights_b_.data(),
                     .symmetric = symmetric_},
                    rows_, columns_);
    next_f.resize(f.size());
    for (std::size_t i = 0; i < f.size(); ++i)
      next_f[i] = in_range(rows_[i]) ? f[i] - epsilon * std::log(rows_[i]) : row(i, epsilon, g);
    if (symmetric_) {
      next_g = next_f;
      return;
    }
    next_g.resize(g.size());
    for (std::size_t j = 0; j < g.size(); ++j) {
      next_g[j] =
          in_range(columns_[j]) ? g[j] - epsilon * std::log(columns_[j]) : column(j, epsilon, f);
    }
  }

 private:
  static std::vector<T> narrowed(const Doubles& values, double scale, std::size_t size) {
    std::vector<T> out(size, T{0});
    std::transform(values.begin(), values.end(), out.begin(),
                   [&](double v) { return static_cast<T>(v * scale); });
    return out;
  }

  /// Whether a sum of exponentials, whose range is that of T, has kept its digits.
  static bool in_range(double sum) {
    constexpr double kBound = sizeof(T) == sizeof(float) ? 1e30 : 1e250;
    return sum < kBound && sum > 1 / kBound;
  }

  /// The slow way, which no potentials can lead out of range.
  double row(std::size_t i, double epsilon, const Doubles& g) const {
    return log_sum(epsilon, g, b_, [&](std::size_t j) {
      return costs_.at(static_cast<std::int64_t>(i), static_cast<std::int64_t>(j));
    });
  }
  double column(std::size_t j, double epsilon, const Doubles& f) const {
    return log_sum(epsilon, f, a_, [&](std::size_t i) {
      return costs_.at(static_cast<std::int64_t>(i), static_cast<std::int64_t>(j));
    });
  }

  static double log_sum(double epsilon, const Doubles& potentials, const Doubles& weights,
                        const auto& cost) {
    double most = -std::numeric_limits<double>::infinity();
    Doubles gains(potentials.size());
    for (std::size_t k = 0; k < gains.size(); ++k) {
      gains[k] = potentials[k] - cost(k);
      if (weights[k] > 0) most = std::max(most, gains[k]);
    }
    double sum = 0;
    for (std::size_t k = 0; k < gains.size(); ++k) {
      if (weights[k] > 0) sum += weights[k] * std::exp((gains[k] - most) / epsilon);
    }
    return -most - epsilon * std::log(sum);
  }

  PairCosts<T> costs_;
  bool symmetric_;
  std::vector<T> weights_a_, weights_b_;
  Doubles rows_, columns_;
};

template <class T>
std::unique_ptr<Softmin> made(const Clouds& clouds, std::int64_t matrix_entries, bool symmetric) {
  const auto& y = symmetric ? clouds.x : clouds.y;
  const auto& b = symmetric ? clouds.a : clouds.b;
  auto costs = pair_costs<T>(clouds.ground, clouds.x, y, clouds.dimensions);
  if (clouds.dimensions > 4 && costs.n * costs.stride <= matrix_entries) costs = as_matrix(costs);
  return std::make_unique<SoftminIn<T>>(std::move(costs), clouds.a, b, symmetric);
}

}  // namespace

std::unique_ptr<Softmin> softmin_between(const Clouds& clouds, Precision precision,
                                         std::int64_t matrix_entries) {
  return precision == Precision::Single ? made<float>(clouds, matrix_entries, false)
                                        : made<double>(clouds, matrix_entries, false);
}

std::unique_ptr<Softmin> softmin_within(const Clouds& clouds, Precision precision,
                                        std::int64_t matrix_entries) {
  return precision == Precision::Single ? made<float>(clouds, matrix_entries, true)
                                        : made<double>(clouds, matrix_entries, true);
}

std::unique_ptr<Softmin> softmin_of_matrix(const Doubles& costs, const Doubles& a,
                                           const Doubles& b) {
  return std::make_unique<SoftminIn<double>>(
      pair_costs<double>(costs.data(), static_cast<std::int64_t>(a.size()),
                         static_cast<std::int64_t>(b.size())),
      a, b, false);
}

}  // namespace perturb::transport
