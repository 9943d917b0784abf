#include "perturb/transport/congested.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include <ATen/ATen.h>
#include <fmt/format.h>

#include "transport/check.h"

namespace perturb::transport {
namespace {

constexpr double kMost = std::numeric_limits<double>::max();

void check(const Congestion& congestion) {
  check_number("congestion.lambda", congestion.lambda, std::numeric_limits<double>::min(), kMost);
  check_number("congestion.power", congestion.power, 1 + 0x1p-20, kMost);
}

/// Finite, floating, nowhere negative.
void check_not_negative(const std::string& argument, const Tensor& values) {
  if (!values.defined()) reject(argument, "there is none");
  check_tensor(argument, values, values.dim());
  if (values.min().item<double>() < 0) reject(argument, "it has negative entries");
}

void check_all(const std::string& argument, const Tensor& values, const Tensor& sigma,
               const Congestion& congestion) {
  check(congestion);
  check_not_negative(argument, values);
  check_not_negative("sigma", sigma);
  if (!values.sizes().equals(sigma.sizes()))
    reject("sigma", "its shape is not that of " + argument);
}

/// sigma, but one where there is no traffic: no traffic costs nothing whatever the density, and 0 /
/// 0 would be the end of a gradient.
Tensor where_there_is(const Tensor& traffic, const Tensor& sigma) {
  return at::where(traffic > 0, sigma, at::ones_like(sigma));
}

double conjugate_exponent(double p) { return p / (p - 1); }

}  // namespace

Tensor congestion_cost(const Tensor& i, const Tensor& sigma, const Congestion& congestion) {
  check_all("i", i, sigma, congestion);
  const auto p = congestion.power;
  const auto room = congestion.lambda * where_there_is(i, sigma);
  return i + i.pow(p) / room.pow(p - 1) / p;
}

Tensor congestion_conjugate(const Tensor& z, const Tensor& sigma, const Congestion& congestion) {
  check_all("z", z, sigma, congestion);
  const auto q = conjugate_exponent(congestion.power);
  return congestion.lambda * sigma * (z - 1).clamp_min(0).pow(q) / q;
}

Tensor congestion_price(const Tensor& i, const Tensor& sigma, const Congestion& congestion) {
  check_all("i", i, sigma, congestion);
  return 1 + (i / (congestion.lambda * where_there_is(i, sigma))).pow(congestion.power - 1);
}

Tensor congestion_intensity(const Tensor& z, const Tensor& sigma, const Congestion& congestion) {
  check_all("z", z, sigma, congestion);
  const auto q = conjugate_exponent(congestion.power);
  return congestion.lambda * sigma * (z - 1).clamp_min(0).pow(q - 1);
}

Tensor optimal_traffic(const Tensor& gradient, const Tensor& sigma, const Congestion& congestion) {
  check_tensor("gradient", gradient, 2);
  check_tensor("sigma", sigma, 1);
  if (sigma.size(0) != gradient.size(0)) {
    reject("sigma",
           fmt::format("there are {} of them for {} gradients", sigma.size(0), gradient.size(0)));
  }
  // Where the gradient vanishes there is no traffic, and no direction.
  const auto square = gradient.square().sum(1);
  const auto steep = square > 1;
  const auto norm = at::where(steep, square, at::ones_like(square)).sqrt();
  const auto intensity = congestion_intensity(norm, sigma, congestion);
  return -(intensity / norm).unsqueeze(1) * gradient;
}

Tensor interpolation_density(const Measure& alpha, const Measure& beta, double left, double right,
                             std::int64_t cells) {
  check_pair(alpha, beta);
  if (coordinates(alpha) != 1) reject("alpha.points", "points on a line have one coordinate");
  check_number("left", left, -kMost, kMost);
  if (!(right > left && right <= kMost)) reject("right", "it is not greater than left");
  check_number("cells", static_cast<double>(cells), 1, 0x1p30);
  const auto x = doubles(alpha.points);
  const auto y = doubles(beta.points);
  const auto a = proportions(masses(alpha));
  const auto b = proportions(masses(beta));
  const double width = (right - left) / static_cast<double>(cells);
  const auto count = static_cast<std::size_t>(cells);

  // Each pair spreads its mass evenly between its points. Whole cells through differences of what
  // is in them, so that a pair takes the same time however far apart it is.
  Doubles change(count + 1, 0);
  Doubles part(count, 0);
  const auto cell_of = [&](double z) {
    return static_cast<std::size_t>(
        std::clamp((z - left) / width, 0.0, static_cast<double>(cells - 1)));
  };
  for (std::size_t i = 0; i < x.size(); ++i) {
    for (std::size_t j = 0; j < y.size(); ++j) {
      const double mass = a[i] * b[j];
      const double from = std::max(std::min(x[i], y[j]), left);
      const double to = std::min(std::max(x[i], y[j]), right);
      if (from > to) continue;
      const auto first = cell_of(from);
      const auto last = cell_of(to);
      const double length = std::abs(x[i] - y[j]);
      if (length == 0) {
        part[first] += mass / width;
        continue;
      }
      const double density = mass / length;
      const auto edge = [&](std::size_t cell) { return left + static_cast<double>(cell) * width; };
      if (first == last) {
        part[first] += density * (to - from) / width;
        continue;
      }
      part[first] += density * (edge(first + 1) - from) / width;
      part[last] += density * (to - edge(last)) / width;
      change[first + 1] += density;
      change[last] -= density;
    }
  }
  double level = 0;
  for (std::size_t cell = 0; cell < count; ++cell) {
    level += change[cell];
    part[cell] += level;
  }
  return tensor_of(part, {cells});
}

CongestedLine congested_line(const Measure& alpha, const Measure& beta,
                             const Congestion& congestion, std::int64_t cells) {
  check(congestion);
  check_pair(alpha, beta);
  if (coordinates(alpha) != 1) reject("alpha.points", "points on a line have one coordinate");
  const double left = std::min(alpha.points.min().item<double>(), beta.points.min().item<double>());
  const double right =
      std::max(alpha.points.max().item<double>(), beta.points.max().item<double>());
  CongestedLine out;
  if (left == right) {
    out.flow = at::zeros({1}, at::kDouble);
    out.density = at::zeros({1}, at::kDouble);
    return out;
  }
  out.density = interpolation_density(alpha, beta, left, right, cells);
  const double width = (right - left) / static_cast<double>(cells);

  // What starts in a cell has passed half of it on average: the flow is taken at its middle.
  Doubles flow(static_cast<std::size_t>(cells), 0);
  const auto add = [&](const Measure& measure, double sign) {
    const auto points = doubles(measure.points);
    const auto mass = proportions(masses(measure));
    for (std::size_t i = 0; i < points.size(); ++i) {
      const double middle = (points[i] - left) / width - 0.5;
      const auto first = static_cast<std::int64_t>(std::ceil(middle));
      if (first < cells)
        flow[static_cast<std::size_t>(std::max<std::int64_t>(first, 0))] += sign * mass[i];
    }
  };
  add(alpha, 1);
  add(beta, -1);
  for (std::size_t cell = 1; cell < flow.size(); ++cell) flow[cell] += flow[cell - 1];
  // Sums of masses that cancel leave rounding behind, where the density is zero.
  for (auto& w : flow) w = std::abs(w) < 1e-12 ? 0 : w;
  out.flow = tensor_of(flow, {cells});
  const auto intensity = out.flow.abs();
  out.transport = intensity.sum().item<double>() * width;
  out.value = congestion_cost(intensity, out.density, congestion).sum().item<double>() * width;
  return out;
}

}  // namespace perturb::transport
