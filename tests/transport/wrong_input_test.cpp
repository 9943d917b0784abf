// What is wrong is said by the name of the argument, for everything that the library takes.
#include <functional>
#include <limits>
#include <string>

#include "perturb/core/error.h"
#include "perturb/transport/assignment.h"
#include "perturb/transport/barycenter.h"
#include "perturb/transport/barycentric.h"
#include "perturb/transport/congested.h"
#include "perturb/transport/cost.h"
#include "perturb/transport/discrete.h"
#include "perturb/transport/divergence.h"
#include "perturb/transport/gaussian.h"
#include "perturb/transport/line.h"
#include "perturb/transport/multi_marginal.h"
#include "perturb/transport/sinkhorn.h"
#include "perturb/transport/sliced.h"
#include "transport/examples.h"

namespace perturb::transport {
namespace {

/// Throws Error(Usage) whose message begins with the argument.
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

Tensor numbers(const std::vector<double>& values) { return at::tensor(values, at::kDouble); }

const double kNan = std::numeric_limits<double>::quiet_NaN();
const double kInfinity = std::numeric_limits<double>::infinity();

}  // namespace

TEST_CASE("measures that are none are named, wherever they are given") {
  const auto points = at::ones({3, 2}, at::kDouble);
  const auto line = at::ones({3}, at::kDouble);
  using Function = std::function<void(const Measure&, const Measure&)>;
  const std::vector<std::pair<Function, Tensor>> functions = {
      {[](const Measure& a, const Measure& b) { line_cost(a, b); }, line},
      {[](const Measure& a, const Measure& b) { line_distance(a, b); }, line},
      {[](const Measure& a, const Measure& b) { sinkhorn_divergence(a, b); }, points},
      {[](const Measure& a, const Measure& b) { w2(a, b); }, points},
      {[](const Measure& a, const Measure& b) { entropic_map(a, b); }, points},
      {[](const Measure& a, const Measure& b) { sliced_distance(a, b); }, points},
      {[](const Measure& a, const Measure& b) { interpolation_density(a, b, 0, 1, 5); }, line},
      {[](const Measure& a, const Measure& b) { congested_line(a, b); }, line},
  };
  for (const auto& [call, good] : functions) {
    const Measure fine{good, {}};
    check_names("alpha.points", [&] { call({{}, {}}, fine); });
    check_names("alpha.points", [&] { call({good.slice(0, 0, 0), {}}, fine); });
    check_names("alpha.points", [&] { call({good * kNan, {}}, fine); });
    check_names("beta.points", [&] { call(fine, {good * kInfinity, {}}); });
    check_names("beta.points", [&] { call(fine, {good.to(at::kLong), {}}); });
    check_names("beta.points", [&] { call(fine, {at::ones({3, 5}, at::kDouble), {}}); });
    check_names("beta.points", [&] { call(fine, {at::ones({3, 5, 2}, at::kDouble), {}}); });
    check_names("alpha.weights", [&] { call({good, numbers({1, -1, 1})}, fine); });
    check_names("alpha.weights", [&] { call({good, numbers({0, 0, 0})}, fine); });
    check_names("alpha.weights", [&] { call({good, numbers({1, kNan, 1})}, fine); });
    check_names("alpha.weights", [&] { call({good, numbers({1e308, 1e308, 1e308})}, fine); });
    check_names("beta.weights", [&] { call(fine, {good, numbers({1, 1})}); });
    check_names("beta.weights", [&] { call(fine, {good, at::ones({3, 1}, at::kDouble)}); });
  }
}

TEST_CASE("the message says which entry, and what it is") {
  const auto x = numbers({1, 2, 3});
  CHECK_THROWS_WITH_AS(line_cost({x, numbers({1, -0.5, 1})}, {x, {}}),
                       "alpha.weights: entry 1 is negative (-0.5)", Error);
  CHECK_THROWS_WITH_AS(sinkhorn_divergence({at::ones({3, 2}, at::kDouble), {}}, {x, {}}),
                       "beta.points: they have 1 coordinates, those of alpha have 2", Error);
}

TEST_CASE("matrices and weights that do not fit are named") {
  const auto cost = at::ones({2, 3}, at::kDouble);
  const auto a = numbers({1, 1});
  const auto b = numbers({1, 1, 1});
  using Function = std::function<void(const Tensor&, const Tensor&, const Tensor&)>;
  for (const Function& call :
       {Function([](auto& u, auto& v, auto& c) { discrete_transport(u, v, c); }),
        Function([](auto& u, auto& v, auto& c) { sinkhorn(u, v, c); })}) {
    check_names("a", [&] { call(b, b, cost); });
    check_names("b", [&] { call(a, a, cost); });
    check_names("a", [&] { call(numbers({1, -1}), b, cost); });
    check_names("b", [&] { call(a, numbers({0, 0, 0}), cost); });
    check_names("cost", [&] { call(a, b, cost * kNan); });
    check_names("cost", [&] { call(a, b, cost * kInfinity); });
    check_names("cost", [&] { call(a, b, cost[0]); });
    check_names("cost", [&] { call(a, b, {}); });
    check_names("cost", [&] { call(a, b, cost.slice(0, 0, 0)); });
  }
  check_names("cost", [&] { assign(cost * kNan); });
  check_names("cost", [&] { assign(cost.slice(1, 0, 0)); });
  check_names("cost", [&] { assign({}); });
  check_names("cost", [&] { assign(cost * -kInfinity); });
  check_names("cost", [&] { assign(cost * kInfinity, {.maximise = true}); });
  check_names("plan", [&] { barycentric_map(cost, at::ones({2, 2}, at::kDouble)); });
  check_names("p", [&] { histogram_distance(numbers({-1, 2}), numbers({1, 1})); });
  check_names("q", [&] { histogram_distance(numbers({1, 2}), b); });
  check_names("p", [&] { distance_powers(cost, cost, 0); });
  check_names("x", [&] { half_squares(cost * kNan, cost); });
  check_names("y", [&] { half_squares(cost, at::ones({2, 2}, at::kDouble)); });
}

TEST_CASE("options out of their range are named") {
  const Measure x{at::ones({3, 2}, at::kDouble), {}};
  const auto even = numbers({1, 1, 1});
  const auto cost = at::ones({3, 3}, at::kDouble);
  check_names("options.p", [&] { sinkhorn_divergence(x, x, {.p = 3}); });
  check_names("options.blur", [&] { sinkhorn_divergence(x, x, {.blur = 0}); });
  check_names("options.blur", [&] { sinkhorn_divergence(x, x, {.blur = kNan}); });
  check_names("options.scaling", [&] { sinkhorn_divergence(x, x, {.scaling = 1}); });
  check_names("options.reach", [&] { sinkhorn_divergence(x, x, {.reach = -1}); });
  check_names("options.p", [&] { w2(x, x, {.p = 1}); });
  check_names("options.epsilon", [&] { sinkhorn(even, even, cost, {.epsilon = 0}); });
  check_names("options.f", [&] { sinkhorn(even, even, cost, {.g = even}); });
  check_names("options.g", [&] { sinkhorn(even, even, cost, {.f = even, .g = even * kNan}); });
  check_names("p", [&] { line_cost({even, {}}, {even, {}}, 0.5); });
  check_names("options.directions", [&] { sliced_distance(x, x, {.directions = 0}); });
  check_names("epsilon", [&] { soft_nearest(x.points, x.points, 0); });
  check_names("congestion.lambda", [&] { congestion_cost(even, even, {.lambda = 0}); });
  check_names("congestion.power", [&] { congestion_cost(even, even, {.power = 1}); });
  check_names("i", [&] { congestion_cost(-even, even); });
  check_names("sigma", [&] { congestion_cost(even, numbers({1, 1})); });
}

TEST_CASE("lists of measures, histograms and Gaussians name their member") {
  const Measure x{at::ones({3, 2}, at::kDouble), {}};
  const Measure line{at::ones({3}, at::kDouble), {}};
  check_names("measures", [&] { line_barycenter({}); });
  check_names("measures[1].points", [&] { line_barycenter({line, x}); });
  check_names("measures[0].points", [&] { line_barycenter({x}); });
  check_names("weights", [&] { line_barycenter({line}, numbers({1, 2})); });
  check_names("measures", [&] { multi_marginal({}); });
  check_names("measures[1].weights", [&] { multi_marginal({x, {x.points, numbers({1, 2, -3})}}); });
  const Measure large{at::ones({5000, 1}, at::kDouble), {}};
  check_names("measures", [&] { multi_marginal({large, large}); });
  check_names("start", [&] { free_barycenter({x}, at::ones({3, 1}, at::kDouble)); });
  check_names("histograms[1]", [&] {
    histogram_barycenter(matrix({{1.0, 1.0}, {-1.0, 1.0}}), at::eye(2, at::kDouble));
  });
  check_names("cost", [&] {
    histogram_barycenter(at::ones({2, 3}, at::kDouble), at::eye(2, at::kDouble));
  });
  const Gaussian fine{numbers({0, 0}), at::eye(2, at::kDouble)};
  check_names("alpha.covariance", [&] { gaussian_cost({fine.mean, -fine.covariance}, fine); });
  check_names("beta.covariance",
              [&] { gaussian_cost(fine, {fine.mean, matrix({{1.0, 0.5}, {0.0, 1.0}})}); });
  check_names("beta.mean", [&] { gaussian_cost(fine, {numbers({0}), at::eye(1, at::kDouble)}); });
  check_names("gaussians", [&] { gaussian_barycenter({}); });
}

}  // namespace perturb::transport
