#include "perturb/transport/barycenter.h"

#include "perturb/transport/cost.h"
#include "perturb/transport/discrete.h"
#include "perturb/transport/line.h"
#include "perturb/transport/multi_marginal.h"
#include "transport/examples.h"

namespace perturb::transport {
namespace {

double spread(const std::vector<Measure>& measures, const std::vector<double>& weights,
              const Measure& center) {
  double sum = 0;
  for (std::size_t k = 0; k < measures.size(); ++k)
    sum += weights[k] * value_of(line_cost(measures[k], center, 2));
  return sum;
}

}  // namespace

TEST_CASE("on a line nothing is nearer to all measures than their barycenter") {
  Random random(1, "barycenter");
  const std::vector<Measure> measures = {{normal(random, {7}), random_weights(random, 7)},
                                         {normal(random, {5}) + 3, random_weights(random, 5, true)},
                                         {normal(random, {9}) * 2, {}}};
  const std::vector<double> weights = {0.2, 0.5, 0.3};
  const auto center = line_barycenter(measures, at::tensor(weights, at::kDouble));
  CHECK(value_of(center.weights.sum()) == doctest::Approx(1).epsilon(1e-15));
  CHECK((center.points.diff() >= 0).all().item<bool>());
  CHECK(value_of((center.weights * center.points).sum()) ==
        doctest::Approx(0.2 * value_of((measures[0].points * measures[0].weights).sum()) +
                        0.5 * value_of((measures[1].points * measures[1].weights).sum()) +
                        0.3 * value_of(measures[2].points.mean())));
  const double least = spread(measures, weights, center);
  for (int repeat = 0; repeat < 30; ++repeat) {
    const auto moved = center.points + 0.05 * normal(random, {center.points.size(0)});
    CHECK(spread(measures, weights, {moved, center.weights}) >= least);
  }
}

TEST_CASE("the barycenter of one measure is that measure, of shifts the shifted one") {
  Random random(2, "barycenter");
  const Measure u{normal(random, {8}), random_weights(random, 8)};
  // The root of what moves if a mass is rounded, some 2^-60.
  CHECK(value_of(line_distance(line_barycenter({u}), u, 2)) <= 1e-8);
  const auto middle = line_barycenter({u, {u.points + 4, u.weights}});
  CHECK(value_of(line_distance(middle, {u.points + 2, u.weights}, 2)) <= 1e-8);

  const auto x = normal(random, {12, 2});
  const auto free = free_barycenter({{x, {}}, {x + 4, {}}}, x + 1);
  CHECK(free.convergence == Convergence::Reached);
  CHECK(value_of(discrete_transport(at::ones({12}, at::kDouble), at::ones({12}, at::kDouble),
                                    distance_powers(free.points, x + 2, 2))
                     .cost) <= 1e-20);
  CHECK(free.objective == doctest::Approx(0.5 * 8 + 0.5 * 8));
}

TEST_CASE("moving points to the mean of their images never raises the objective") {
  Random random(3, "barycenter");
  const std::vector<Measure> measures = {
      {normal(random, {20, 2}), {}},
      {normal(random, {15, 2}) + 2, random_weights(random, 15, true)},
      {normal(random, {30, 2}) * 2, {}}};
  const auto start = normal(random, {10, 2});
  double former = std::numeric_limits<double>::infinity();
  for (int steps = 1; steps <= 6; ++steps) {
    const auto now = free_barycenter(measures, start, {.max_iterations = steps}).objective;
    CHECK(now <= former + 1e-12);
    former = now;
  }
}

TEST_CASE("a histogram's barycenter keeps mass and mean, and lies between its ends") {
  const auto bins = at::arange(50, at::kDouble) / 49;
  const auto bump = [&](double center) {
    const auto h = (-(bins - center).square() / (2 * 0.05 * 0.05)).exp();
    return h / h.sum();
  };
  const auto both = at::stack({bump(0.25), bump(0.75)});
  const auto cost = distance_powers(bins, bins, 2);
  for (const double w : {0.5, 0.2}) {
    const auto weights = at::tensor({w, 1 - w}, at::kDouble);
    const auto center = histogram_barycenter(both, cost, {.weights = weights, .epsilon = 1e-3});
    CHECK(center.convergence == Convergence::Reached);
    CHECK(value_of(center.histogram.sum()) == doctest::Approx(1));
    // The squared distance keeps means; the ends of the interval are far away.
    CHECK(value_of((center.histogram * bins).sum()) ==
          doctest::Approx(0.25 * w + 0.75 * (1 - w)).epsilon(1e-3));
    const auto exact = line_barycenter({{bins, both[0]}, {bins, both[1]}}, weights);
    // Blurred by some sqrt(epsilon) = 0.03, while the ends are 0.25 and more away.
    CHECK(value_of(line_distance({bins, center.histogram}, exact, 2)) <= 0.03);
  }
}

TEST_CASE("the multi-marginal plan has its marginals; with two measures it is entropic transport") {
  Random random(4, "barycenter");
  const std::vector<Measure> measures = {{normal(random, {8, 2}), random_weights(random, 8, true)},
                                         {normal(random, {7, 2}) + 1, random_weights(random, 7)},
                                         {normal(random, {9, 2}) - 1, {}}};
  const auto weights = at::tensor({0.5, 0.2, 0.3}, at::kDouble);
  const auto joint =
      multi_marginal(measures, {.weights = weights, .epsilon = 0.05, .tolerance = 1e-8});
  CHECK(joint.convergence == Convergence::Reached);
  CHECK(
      (joint.plan.sum(at::IntArrayRef({1, 2})) - measures[0].weights).abs().sum().item<double>() <=
      1e-7);
  CHECK(
      (joint.plan.sum(at::IntArrayRef({0, 2})) - measures[1].weights).abs().sum().item<double>() <=
      1e-7);
  CHECK((joint.plan.sum(at::IntArrayRef({0, 1})) * 9 - 1).abs().sum().item<double>() / 9 <= 1e-7);
  // The law of the mean has the mean of the means.
  const auto mean = (joint.barycenter.weights.unsqueeze(1) * joint.barycenter.points).sum(0);
  const auto wanted = 0.5 * (measures[0].weights.unsqueeze(1) * measures[0].points).sum(0) +
                      0.2 * (measures[1].weights.unsqueeze(1) * measures[1].points).sum(0) +
                      0.3 * measures[2].points.mean(0);
  CHECK((mean - wanted).abs().max().item<double>() <= 1e-6);

  // w_1 w_2 |x_1 - x_2|^2: the exact cost times a quarter, as the temperature falls.
  const auto pair =
      multi_marginal({measures[0], measures[1]}, {.epsilon = 1e-3, .tolerance = 1e-5});
  const auto exact = discrete_transport(measures[0].weights, measures[1].weights,
                                        distance_powers(measures[0].points, measures[1].points, 2));
  CHECK(pair.cost == doctest::Approx(value_of(exact.cost) / 4).epsilon(1e-2));
  CHECK(multi_marginal({measures[2]}).cost == 0);
}

TEST_CASE("of points that are all the same, the joint plan costs nothing") {
  const auto x = at::ones({4, 2}, at::kDouble);
  const auto joint = multi_marginal({{x, {}}, {x, {}}, {x, {}}});
  CHECK(joint.cost == 0);
  CHECK(joint.barycenter.points.allclose(at::ones({64, 2}, at::kDouble)));
}

}  // namespace perturb::transport
