#include "perturb/weights/ode.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <cstddef>
#include <vector>

#include <ATen/ATen.h>

#include "perturb/core/error.h"

namespace perturb::weights {
namespace {

using at::Tensor;

Tensor step(const Field& f, const Tensor& x, Method method, double t, double h) {
  switch (method) {
    case Method::Euler:
      return x + h * f(x, t);
    case Method::Midpoint:
      return x + h * f(x + (h / 2) * f(x, t), t + h / 2);
    case Method::RungeKutta4: {
      const auto a = f(x, t);
      const auto b = f(x + (h / 2) * a, t + h / 2);
      const auto c = f(x + (h / 2) * b, t + h / 2);
      const auto d = f(x + h * c, t + h);
      return x + (h / 6) * (a + 2 * b + 2 * c + d);
    }
  }
  throw Error(ExitCode::Bug, "there is no such method");
}

// The tableau of Dormand and Prince: times, coefficients, and the difference of the two solutions.
constexpr std::array<double, 7> kTimes = {0, 1.0 / 5, 3.0 / 10, 4.0 / 5, 8.0 / 9, 1, 1};
constexpr std::array<std::array<double, 6>, 7> kRows = {{
    {},
    {1.0 / 5},
    {3.0 / 40, 9.0 / 40},
    {44.0 / 45, -56.0 / 15, 32.0 / 9},
    {19372.0 / 6561, -25360.0 / 2187, 64448.0 / 6561, -212.0 / 729},
    {9017.0 / 3168, -355.0 / 33, 46732.0 / 5247, 49.0 / 176, -5103.0 / 18656},
    {35.0 / 384, 0, 500.0 / 1113, 125.0 / 192, -2187.0 / 6784, 11.0 / 84},
}};
constexpr std::array<double, 7> kError = {71.0 / 57600,      0,          -71.0 / 16695, 71.0 / 1920,
                                          -17253.0 / 339200, 22.0 / 525, -1.0 / 40};

double norm(const Tensor& error, const Tensor& scale) {
  return (error / scale).square().mean().sqrt().item<double>();
}

}  // namespace

Tensor integrate(const Field& field, const Tensor& x, Method method, std::int64_t steps,
                 const Span& span) {
  if (steps < 1) throw Error(ExitCode::Usage, "an integration takes at least one step");
  const double h = (span.to - span.from) / static_cast<double>(steps);
  auto now = x;
  for (std::int64_t i = 0; i < steps; ++i)
    now = step(field, now, method, span.from + static_cast<double>(i) * h, h);
  return now;
}

Integrated integrate(const Field& field, const Tensor& x, const Tolerance& tolerance,
                     const Span& span) {
  Integrated out{.x = x};
  double t = span.from;
  const double whole = span.to - span.from;
  double h = whole / 100;
  Tensor first = field(x, t);
  for (;;) {
    const double left = span.to - t;
    out.reached = std::abs(left) <= 1e-14 * std::abs(whole);
    if (out.reached || out.steps + out.rejected >= tolerance.most_steps) return out;
    if (std::abs(h) > std::abs(left)) h = left;
    std::vector<Tensor> slopes = {first};
    Tensor next;
    for (std::size_t i = 1; i < kRows.size(); ++i) {
      next = out.x;
      for (std::size_t j = 0; j < i; ++j) {
        if (kRows[i][j] != 0) next = next + (h * kRows[i][j]) * slopes[j];
      }
      slopes.push_back(field(next, t + kTimes[i] * h));
    }
    auto error = at::zeros_like(out.x);
    for (std::size_t i = 0; i < slopes.size(); ++i) error = error + (h * kError[i]) * slopes[i];
    const auto scale =
        tolerance.absolute + tolerance.relative * at::maximum(out.x.abs(), next.abs());
    const double size = norm(error, scale);
    // What is not a number is too large an error, too.
    const bool accepted = size <= 1;
    if (accepted) {
      t = h == left ? span.to : t + h;
      out.x = next;
      first = slopes.back();  // the last row is the next step's first
      ++out.steps;
    } else {
      ++out.rejected;
    }
    const double factor = std::isfinite(size) ? 0.9 * std::pow(std::max(size, 1e-10), -0.2) : 0.2;
    h *= std::clamp(factor, 0.2, accepted ? 5.0 : 1.0);
  }
}

}  // namespace perturb::weights
