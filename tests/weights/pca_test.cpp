#include "perturb/weights/pca.h"

#include "doctest_torch.h"
#include "perturb/core/error.h"
#include "weights/networks.h"

namespace perturb::weights {
namespace {

TEST_CASE("all components of few points lose nothing") {
  const auto points = random_normal(0, "points", {20, 3000}) + 5;
  const auto found = pca(points, 19);
  CHECK(found.basis.sizes() == at::IntArrayRef({19, 3000}));
  CHECK(at::allclose(found.lift(found.project(points)), points, 0, 1e-4));
  CHECK(at::allclose(found.basis.matmul(found.basis.t()), at::eye(19), 0, 1e-5));
  // Coordinates do not go together, and vary as it says.
  const auto z = found.project(points).to(at::kDouble);
  const auto covariance = z.t().matmul(z) / 19;
  CHECK(at::allclose(covariance, at::diag(found.variances), 1e-3,
                     1e-3 * found.variances[0].item<double>()));
  CHECK(at::equal(std::get<0>(found.variances.sort(0, true)), found.variances));
}

TEST_CASE("the first component is the direction in which points vary most") {
  const auto along = random_normal(0, "along", {30, 1});
  const auto direction = at::tensor({3.0F, 0.0F, 4.0F}) / 5;
  const auto points = along * direction + 0.01 * random_normal(1, "off", {30, 3});
  const auto found = pca(points, 1);
  CHECK(std::abs(found.basis[0].dot(direction).item<double>()) > 0.999);
}

TEST_CASE("components that do not vary are left out, and ones that cannot be are refused") {
  const auto line = at::arange(5, at::kFloat).unsqueeze(1) * at::ones({1, 7});
  CHECK(pca(line, 4).basis.size(0) == 1);
  CHECK_THROWS_AS(pca(line, 5), Error);
  CHECK_THROWS_AS(pca(line, 0), Error);
}

}  // namespace
}  // namespace perturb::weights
