#include "perturb/transport/gaussian.h"

#include <cmath>
#include <limits>

#include <ATen/ATen.h>
#include <fmt/format.h>

#include "transport/envelope.h"

namespace perturb::transport {
namespace {

/// Eigenvalues so far below the greatest are zeros that rounding has moved.
constexpr double kRank = 1e-12;

void check(const std::string& argument, const Gaussian& gaussian) {
  check_tensor(argument + ".mean", gaussian.mean, 1);
  check_square(argument + ".covariance", gaussian.covariance, gaussian.mean.size(0));
  const auto s = gaussian.covariance.detach().to(at::kCPU, at::kDouble);
  const double scale = s.abs().max().item<double>();
  if ((s - s.t()).abs().max().item<double>() > 1e-6 * scale)
    reject(argument + ".covariance", "it is not symmetric");
  const double least = at::linalg_eigvalsh(s).min().item<double>();
  if (least < -1e-6 * scale)
    reject(argument + ".covariance", fmt::format("it has a negative eigenvalue ({})", least));
}

void check_both(const Gaussian& alpha, const Gaussian& beta) {
  check("alpha", alpha);
  check("beta", beta);
  if (alpha.mean.size(0) != beta.mean.size(0)) {
    reject("beta.mean", fmt::format("it has {} coordinates, that of alpha has {}",
                                    beta.mean.size(0), alpha.mean.size(0)));
  }
}

Tensor plain(const Tensor& tensor) { return tensor.detach().to(at::kCPU, at::kDouble); }

/// S^power of a positive semidefinite matrix; negative powers on its range alone.
Tensor matrix_power(const Tensor& matrix, double power) {
  const auto [values, vectors] = at::linalg_eigh((matrix + matrix.t()) / 2);
  const auto positive = values > kRank * values.abs().max();
  const auto powers =
      at::where(positive, at::where(positive, values, at::ones_like(values)).pow(power),
                at::zeros_like(values));
  return (vectors * powers).mm(vectors.t());
}

/// The symmetric A with A S1 A = S2.
Tensor map_between(const Tensor& s1, const Tensor& s2) {
  const auto root = matrix_power(s1, 0.5);
  const auto inverse = matrix_power(s1, -0.5);
  return inverse.mm(matrix_power(root.mm(s2).mm(root), 0.5)).mm(inverse);
}

}  // namespace

Tensor gaussian_cost(const Gaussian& alpha, const Gaussian& beta) {
  check_both(alpha, beta);
  const at::Tensor gap = plain(alpha.mean) - plain(beta.mean);
  const auto s1 = plain(alpha.covariance);
  const auto s2 = plain(beta.covariance);
  const auto root = matrix_power(s1, 0.5);
  const double cross = matrix_power(root.mm(s2).mm(root), 0.5).trace().item<double>();
  const double bures = (s1.trace() + s2.trace()).item<double>() - 2 * cross;
  const double value = gap.dot(gap).item<double>() + std::max(bures, 0.0);

  std::vector<Slope> slopes = {{alpha.mean, doubles(2 * gap)}, {beta.mean, doubles(-2 * gap)}};
  const auto identity = at::eye(s1.size(0), at::kDouble);
  if (wants_gradient(alpha.covariance))
    slopes.push_back({alpha.covariance, doubles(identity - map_between(s1, s2))});
  if (wants_gradient(beta.covariance))
    slopes.push_back({beta.covariance, doubles(identity - map_between(s2, s1))});
  return with_slopes(value, alpha.mean, slopes);
}

Tensor gaussian_distance(const Gaussian& alpha, const Gaussian& beta) {
  return root(gaussian_cost(alpha, beta), 2);
}

Tensor gaussian_map(const Gaussian& alpha, const Gaussian& beta) {
  check_both(alpha, beta);
  return map_between(plain(alpha.covariance), plain(beta.covariance));
}

GaussianBarycenter gaussian_barycenter(const std::vector<Gaussian>& gaussians,
                                       const GaussianBarycenterOptions& options) {
  if (gaussians.empty()) reject("gaussians", "there is none");
  check("gaussians[0]", gaussians[0]);
  for (std::size_t k = 1; k < gaussians.size(); ++k) {
    check(fmt::format("gaussians[{}]", k), gaussians[k]);
    if (gaussians[k].mean.size(0) != gaussians[0].mean.size(0))
      reject(fmt::format("gaussians[{}].mean", k), "it has not as many coordinates as the others");
  }
  check_number("options.tolerance", options.tolerance, 0, std::numeric_limits<double>::max());
  check_number("options.max_iterations", options.max_iterations, 1,
               std::numeric_limits<int>::max());
  const auto weights = shares("options.weights", options.weights, gaussians.size());

  // The weighted mean is regular wherever one of them is.
  auto mean = at::zeros_like(plain(gaussians[0].mean));
  auto s = at::zeros_like(plain(gaussians[0].covariance));
  for (std::size_t k = 0; k < gaussians.size(); ++k) {
    mean += weights[k] * plain(gaussians[k].mean);
    s += weights[k] * plain(gaussians[k].covariance);
  }
  GaussianBarycenter out;
  out.convergence = Convergence::IterationLimit;
  while (out.iterations < options.max_iterations) {
    ++out.iterations;
    const auto root = matrix_power(s, 0.5);
    const auto inverse = matrix_power(s, -0.5);
    auto sum = at::zeros_like(s);
    for (std::size_t k = 0; k < gaussians.size(); ++k)
      sum += weights[k] * matrix_power(root.mm(plain(gaussians[k].covariance)).mm(root), 0.5);
    const auto next = inverse.mm(sum).mm(sum).mm(inverse);
    const double change = (next - s).abs().max().item<double>();
    s = (next + next.t()) / 2;
    if (change <= options.tolerance * s.abs().max().item<double>()) {
      out.convergence = Convergence::Reached;
      break;
    }
  }
  out.gaussian = {mean, s};
  return out;
}

}  // namespace perturb::transport
