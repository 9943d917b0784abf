#include "perturb/weights/pca.h"

#include <algorithm>
#include <string>
#include <tuple>

#include <ATen/ATen.h>

#include "perturb/core/error.h"

namespace perturb::weights {
namespace {

/// Columns that are doubles at a time, while products are taken: a hundred networks of ten million
/// weights would not fit twice.
constexpr std::int64_t kColumns = 1 << 16;

/// x x^T in double precision.
at::Tensor gram(const at::Tensor& x) {
  const auto n = x.size(0);
  auto sum = at::zeros({n, n}, x.options().dtype(at::kDouble));
  for (std::int64_t begin = 0; begin < x.size(1); begin += kColumns) {
    const auto some = x.narrow(1, begin, std::min(kColumns, x.size(1) - begin)).to(at::kDouble);
    sum += some.matmul(some.t());
  }
  return sum;
}

}  // namespace

at::Tensor Pca::project(const at::Tensor& points) const {
  return (points - mean).matmul(basis.t());
}

at::Tensor Pca::lift(const at::Tensor& coordinates) const {
  return coordinates.matmul(basis) + mean;
}

Pca pca(const at::Tensor& points, std::int64_t components) {
  const auto n = points.dim() == 2 ? points.size(0) : 0;
  if (components < 1 || components >= n) {
    throw Error(ExitCode::Usage, std::to_string(n) + " points have 1 to " + std::to_string(n - 1) +
                                     " components, not " + std::to_string(components));
  }
  Pca out;
  out.mean = points.mean(0, /*keepdim=*/false, at::kDouble).to(points.dtype());
  const auto centred = points - out.mean;
  // x x^T = U S^2 U^T gives the right singular vectors x^T U / S.
  const auto [squares, vectors] = at::linalg_eigh(gram(centred));
  const auto largest = squares.flip(0).narrow(0, 0, components).clamp_min(0);
  // Rounding leaves what should be zero at some 1e-16 of the largest, of floats at 1e-14.
  const auto kept = largest.gt(largest[0] * 1e-12).sum().item<std::int64_t>();
  const auto values = largest.narrow(0, 0, kept);
  const auto directions = vectors.flip(1).narrow(1, 0, kept) / values.sqrt();
  out.variances = values / static_cast<double>(n - 1);
  out.basis = directions.t().to(points.dtype()).matmul(centred);
  return out;
}

}  // namespace perturb::weights
