#include "perturb/transport/density.h"

#include <cmath>
#include <functional>
#include <limits>
#include <numbers>
#include <string>

#include "perturb/core/error.h"
#include "transport/examples.h"

namespace perturb::transport {
namespace {

double total(const Tensor& t) { return t.sum().item<double>(); }

void check_names(const std::string& argument, const std::function<void()>& call) {
  CAPTURE(argument);
  try {
    call();
    FAIL_CHECK("nothing was thrown");
  } catch (const Error& error) {
    CHECK(error.code() == ExitCode::Usage);
    CHECK_MESSAGE(std::string(error.what()).starts_with(argument), error.what());
  }
}

}  // namespace

TEST_CASE("a density is that of its kernels and integrates to one") {
  const auto samples = at::tensor({0.0, 0.0, 1.0, 0.5}, at::kDouble).view({2, 2});
  const double width = 0.3;
  const auto kernel = [&](double x, double y) {
    return std::exp(-(x * x + y * y) / (2 * width * width)) /
           (2 * std::numbers::pi * width * width);
  };
  const auto there = at::tensor({0.2, 0.1}, at::kDouble).view({1, 2});
  CHECK(kernel_density(there, samples, width).item<double>() ==
        doctest::Approx((kernel(0.2, 0.1) + kernel(-0.8, -0.4)) / 2).epsilon(1e-12));
  const PlaneGrid grid = {.left = -3, .right = 4, .bottom = -3.25, .across = 70, .up = 70};
  const double cell = grid.side() * grid.side();
  // Smooth and zero at the border: sums over cells converge faster than any power.
  CHECK(total(kernel_density(cell_middles(grid), samples, width)) * cell ==
        doctest::Approx(1).epsilon(1e-9));
  const auto others = leave_one_out_density(samples, width);
  CHECK(others[0].item<double>() == doctest::Approx(kernel(1, 0.5)).epsilon(1e-12));
  CHECK(others[0].item<double>() == others[1].item<double>());
}

TEST_CASE("densities do not depend on how points are cut into pieces") {
  Random random(1, "density");
  const auto samples = normal(random, {1300, 2});
  const auto all = kernel_density(samples, samples, 0.2);
  const auto one = kernel_density(samples.narrow(0, 1200, 1), samples, 0.2);
  CHECK(all[1200].item<double>() == doctest::Approx(one.item<double>()).epsilon(1e-12));
  const auto without = leave_one_out_density(samples, 0.2)[7].item<double>() * 1299;
  const double own = 1 / (2 * std::numbers::pi * 0.04);
  CHECK(without + own == doctest::Approx(all[7].item<double>() * 1300).epsilon(1e-12));
}

TEST_CASE("a flow whose divergence is the difference of densities leaves no residual") {
  const PlaneGrid grid = {.left = -6, .right = 6, .bottom = -6, .across = 240, .up = 240};
  const auto at = cell_middles(grid);
  // N moved along x by 1: w = (Phi(x) - Phi(x - 1)) phi(y) carries N(0, I) onto N((1, 0), I).
  const auto phi = [](const Tensor& x) {
    return (-x.square() / 2).exp() / std::sqrt(2 * std::numbers::pi);
  };
  const auto Phi = [](const Tensor& x) { return (1 + (x / std::sqrt(2.0)).erf()) / 2; };
  const auto x = at.select(1, 0), y = at.select(1, 1);
  const auto flow = at::stack({(Phi(x) - Phi(x - 1)) * phi(y), at::zeros_like(x)}, 1);
  const auto excess = (phi(x) - phi(x - 1)) * phi(y);
  // Central differences err by side^2 / 6 times the third derivative.
  CHECK(divergence_residual(flow, excess, grid) < 1e-3);
  CHECK(divergence_residual(at::zeros_like(flow), excess, grid) > 0.5);
  // Conservation: what flows out of the box is the difference of the masses in it.
  CHECK(std::abs(total(flow_divergence(flow, grid))) * grid.side() * grid.side() < 1e-6);
  const auto outward = flow_divergence(at, grid);
  CHECK(at::allclose(outward, at::full_like(outward, 2.0)));
}

TEST_CASE("what is wrong with points, widths and grids is said by name") {
  const auto points = at::zeros({3, 2}, at::kDouble);
  const double nan = std::numeric_limits<double>::quiet_NaN();
  check_names("at", [&] { kernel_density(at::zeros({0, 2}, at::kDouble), points, 1); });
  check_names("at", [&] { kernel_density(at::zeros({1, 3}, at::kDouble), points, 1); });
  check_names("samples", [&] { kernel_density(points, points * nan, 1); });
  check_names("bandwidth", [&] { kernel_density(points, points, 0); });
  check_names("bandwidth", [&] { leave_one_out_density(points, nan); });
  check_names("samples", [&] { leave_one_out_density(points.narrow(0, 0, 1), 1); });
  check_names("grid.right", [&] { cell_middles({.left = 1, .right = 1}); });
  check_names("grid.across", [&] { cell_middles({.across = 2}); });
  check_names("flow", [&] { flow_divergence(points, {}); });
  const auto flow = at::zeros({1600, 2}, at::kDouble);
  check_names("excess", [&] { divergence_residual(flow, at::zeros({3}, at::kDouble), {}); });
}

}  // namespace perturb::transport
