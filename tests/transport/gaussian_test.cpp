#include "perturb/transport/gaussian.h"

#include "perturb/core/error.h"
#include "perturb/transport/line.h"
#include "perturb/transport/sliced.h"
#include "transport/examples.h"

namespace perturb::transport {
namespace {

Gaussian random_gaussian(Random& random, std::int64_t d) {
  const auto root = normal(random, {d, d});
  return {normal(random, {d}), root.mm(root.t()) + 0.1 * at::eye(d, at::kDouble)};
}

}  // namespace

TEST_CASE("the distance of commuting Gaussians is that of their standard deviations") {
  const auto s = at::tensor({1.0, 4.0, 9.0}, at::kDouble);
  const auto t = at::tensor({4.0, 4.0, 1.0}, at::kDouble);
  const auto m = at::tensor({0.0, 1.0, 2.0}, at::kDouble);
  // (1-2)^2 + 0 + (3-1)^2, and 5 for the means.
  CHECK(value_of(gaussian_cost({m, s.diag()}, {0 * m, t.diag()})) ==
        doctest::Approx(10).epsilon(1e-13));
  CHECK(value_of(gaussian_distance({m, s.diag()}, {m, t.diag()})) ==
        doctest::Approx(std::sqrt(5.0)).epsilon(1e-13));
}

TEST_CASE("the distance of Gaussians is a metric, also of singular ones") {
  Random random(1, "gaussian");
  const auto u = random_gaussian(random, 3);
  const auto v = random_gaussian(random, 3);
  auto w = random_gaussian(random, 3);
  w.covariance = at::outer(w.mean, w.mean);
  const auto d = [](const Gaussian& x, const Gaussian& y) {
    return value_of(gaussian_distance(x, y));
  };
  CHECK(d(u, u) <= 1e-6);  // the root of a rounding error of 1e-14
  CHECK(d(u, v) == doctest::Approx(d(v, u)).epsilon(1e-11));
  CHECK(d(u, v) <= d(u, w) + d(w, v));
  CHECK(d(u, w) <= d(u, v) + d(v, w));
}

TEST_CASE("the map between Gaussians takes one covariance to the other, and costs the distance") {
  Random random(2, "gaussian");
  const auto u = random_gaussian(random, 4);
  const auto v = random_gaussian(random, 4);
  const auto a = gaussian_map(u, v);
  CHECK(a.mm(u.covariance).mm(a.t()).allclose(v.covariance, 1e-9, 1e-9));
  CHECK(a.allclose(a.t(), 1e-9, 1e-9));
  const auto rest = at::eye(4, at::kDouble) - a;
  CHECK(value_of(rest.mm(u.covariance).mm(rest.t()).trace() + (u.mean - v.mean).square().sum()) ==
        doctest::Approx(value_of(gaussian_cost(u, v))).epsilon(1e-9));
}

TEST_CASE("the cost of Gaussians has the gradient of finite differences") {
  Random random(3, "gaussian");
  const auto u = random_gaussian(random, 3);
  const auto v = random_gaussian(random, 3);
  check_gradient([&](const Tensor& t) { return gaussian_cost({t, u.covariance}, v); }, u.mean,
                 1e-8);
  // Along symmetric directions: covariances are symmetric.
  const auto symmetric = [](const Tensor& t) { return (t + t.t()) / 2; };
  check_gradient([&](const Tensor& t) { return gaussian_cost({u.mean, symmetric(t)}, v); },
                 u.covariance, 1e-7);
  check_gradient([&](const Tensor& t) { return gaussian_cost(u, {v.mean, symmetric(t)}); },
                 v.covariance, 1e-7);
}

TEST_CASE("the barycenter of Gaussians is a fixed point, on a line the mean of deviations") {
  Random random(4, "gaussian");
  const std::vector<Gaussian> all = {random_gaussian(random, 3), random_gaussian(random, 3),
                                     random_gaussian(random, 3)};
  const auto weights = at::tensor({0.2, 0.3, 0.5}, at::kDouble);
  const auto center = gaussian_barycenter(all, {.weights = weights});
  CHECK(center.convergence == Convergence::Reached);
  // Optimality: the mean of the maps to all is the identity.
  auto mean = at::zeros({3, 3}, at::kDouble);
  for (int k = 0; k < 3; ++k)
    mean += weights[k] * gaussian_map(center.gaussian, all[static_cast<std::size_t>(k)]);
  CHECK(mean.allclose(at::eye(3, at::kDouble), 1e-6, 1e-6));

  const auto on_line = [](double m, double s) {
    return Gaussian{at::full({1}, m, at::kDouble), at::full({1, 1}, s * s, at::kDouble)};
  };
  const auto middle = gaussian_barycenter({on_line(0, 1), on_line(4, 3)});
  CHECK(value_of(middle.gaussian.mean[0]) == doctest::Approx(2));
  CHECK(value_of(middle.gaussian.covariance[0][0]) == doctest::Approx(4));
}

TEST_CASE(
    "sliced: the line's distance in one dimension, a shift's share in many, the same by its seed") {
  Random random(5, "gaussian");
  const auto x = normal(random, {40});
  const auto y = normal(random, {30}) + 1;
  const auto a = random_weights(random, 40);
  CHECK(value_of(sliced_distance({x, a}, {y, {}}, {.p = 3})) ==
        doctest::Approx(value_of(line_distance({x, a}, {y, {}}, 3))).epsilon(1e-12));

  const auto u = normal(random, {50, 3});
  const auto shift = at::tensor({1.0, 2.0, 2.0}, at::kDouble);
  // E <direction, shift>^2 = |shift|^2 / d = 3; the standard error is 0.9 sqrt(3) /
  // sqrt(directions) of that.
  const double squared =
      std::pow(value_of(sliced_distance({u, {}}, {u + shift, {}}, {.directions = 4000})), 2);
  CHECK(squared == doctest::Approx(3).epsilon(0.06));

  const auto v = normal(random, {20, 3});
  const auto once = sliced_distance({u, {}}, {v, {}}, {.seed = 7});
  CHECK(once.equal(sliced_distance({u, {}}, {v, {}}, {.seed = 7})));
  CHECK(!once.equal(sliced_distance({u, {}}, {v, {}}, {.seed = 8})));
  CHECK(value_of(sliced_distance({u, {}}, {u, {}})) == 0);
  CHECK(random_directions(3, {.directions = 9}).norm(2, 1).allclose(at::ones({9}, at::kDouble)));
  check_gradient(
      [&](const Tensor& t) { return sliced_distance({t, {}}, {u, {}}, {.directions = 10}); }, v,
      1e-6);
}

}  // namespace perturb::transport
