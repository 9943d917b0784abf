#include "transport/check.h"

#include <algorithm>
#include <cmath>
#include <numeric>

#include <ATen/ATen.h>
#include <fmt/format.h>

#include "perturb/core/error.h"

namespace perturb::transport {
namespace {

std::string shape_of(const Tensor& tensor) {
  return fmt::format("({})", fmt::join(tensor.sizes().vec(), ", "));
}

}  // namespace

void reject(const std::string& argument, const std::string& message) {
  throw Error(ExitCode::Usage, argument + ": " + message);
}

void check_number(const std::string& argument, double value, double least, double most) {
  if (!(value >= least && value <= most))
    reject(argument, fmt::format("{} is not between {} and {}", value, least, most));
}

void check_tensor(const std::string& argument, const Tensor& tensor, std::int64_t dimensions) {
  if (!tensor.defined()) reject(argument, "there is none");
  if (!at::isFloatingType(tensor.scalar_type()))
    reject(argument, "its numbers must be floating-point");
  if (tensor.dim() != dimensions) {
    reject(argument, fmt::format("its shape is {}, but it must have {} dimension{}",
                                 shape_of(tensor), dimensions, dimensions == 1 ? "" : "s"));
  }
  if (tensor.numel() == 0) reject(argument, fmt::format("it is empty, {}", shape_of(tensor)));
  if (!at::isfinite(tensor).all().item<bool>()) reject(argument, "it has NaN or infinite entries");
}

void check_square(const std::string& argument, const Tensor& tensor, std::int64_t count) {
  check_tensor(argument, tensor, 2);
  if (tensor.size(0) != count || tensor.size(1) != count) {
    reject(argument,
           fmt::format("its shape is {}, but it must be ({}, {})", shape_of(tensor), count, count));
  }
}

void check_weights(const std::string& argument, const Tensor& weights, std::int64_t count) {
  check_tensor(argument, weights, 1);
  if (weights.size(0) != count) {
    reject(argument, fmt::format("there are {} of them for {}", weights.size(0), count));
  }
  const double least = weights.min().item<double>();
  if (least < 0) {
    reject(argument,
           fmt::format("entry {} is negative ({})", weights.argmin().item<std::int64_t>(), least));
  }
  const double total = weights.sum(at::kDouble).item<double>();
  if (total <= 0) reject(argument, "all are zero, so that they have no proportions");
  if (!std::isfinite(total)) reject(argument, "their sum is infinite");
}

void check_measure(const std::string& argument, const Measure& measure) {
  const auto& points = measure.points;
  check_tensor(argument + ".points", points, points.defined() && points.dim() == 1 ? 1 : 2);
  if (measure.weights.defined())
    check_weights(argument + ".weights", measure.weights, points.size(0));
}

void check_measures(const std::string& argument, const std::vector<Measure>& measures) {
  if (measures.empty()) reject(argument, "there is none");
  for (std::size_t k = 0; k < measures.size(); ++k) {
    const auto name = fmt::format("{}[{}]", argument, k);
    check_measure(name, measures[k]);
    if (coordinates(measures[k]) != coordinates(measures[0])) {
      reject(name + ".points", fmt::format("they have {} coordinates, those before have {}",
                                           coordinates(measures[k]), coordinates(measures[0])));
    }
  }
}

void check_pair(const Measure& alpha, const Measure& beta) {
  check_measure("alpha", alpha);
  check_measure("beta", beta);
  if (coordinates(alpha) != coordinates(beta)) {
    reject("beta.points", fmt::format("they have {} coordinates, those of alpha have {}",
                                      coordinates(beta), coordinates(alpha)));
  }
}

Doubles doubles(const Tensor& tensor) {
  const auto plain = tensor.detach().to(at::kCPU, at::kDouble).contiguous();
  const auto* begin = plain.data_ptr<double>();
  return {begin, begin + plain.numel()};
}

Doubles masses(const Measure& measure) {
  if (measure.weights.defined()) return doubles(measure.weights);
  const auto n = static_cast<std::size_t>(measure.points.size(0));
  return Doubles(n, 1 / static_cast<double>(n));
}

Doubles proportions(Doubles weights) {
  const double total = std::accumulate(weights.begin(), weights.end(), 0.0);
  for (auto& weight : weights) weight /= total;
  return weights;
}

Doubles shares(const std::string& argument, const Tensor& weights, std::size_t count) {
  if (!weights.defined()) return Doubles(count, 1 / static_cast<double>(count));
  check_weights(argument, weights, static_cast<std::int64_t>(count));
  return proportions(doubles(weights));
}

Tensor tensor_of(const Doubles& values, const std::vector<std::int64_t>& shape) {
  auto out = at::empty(shape, at::kDouble);
  std::copy(values.begin(), values.begin() + out.numel(), out.data_ptr<double>());
  return out;
}

Tensor tensor_like(const Tensor& like, const Doubles& values,
                   const std::vector<std::int64_t>& shape) {
  return tensor_of(values, shape).to(like.options().requires_grad(false));
}

std::int64_t coordinates(const Measure& measure) {
  return measure.points.dim() == 1 ? 1 : measure.points.size(1);
}

}  // namespace perturb::transport
