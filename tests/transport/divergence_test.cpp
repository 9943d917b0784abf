#include "perturb/transport/divergence.h"

#include "perturb/core/error.h"
#include "perturb/transport/barycentric.h"
#include "perturb/transport/cost.h"
#include "perturb/transport/sinkhorn.h"
#include "transport/examples.h"

namespace perturb::transport {
namespace {

struct Pair {
  Measure alpha, beta;
};

/// Clouds on which the defaults of others stop far too early, and easier ones.
std::vector<Pair> pairs(Random& random) {
  const auto uniform = [&](std::int64_t n) {
    auto out = at::empty({n, 2}, at::kFloat);
    random.fill_uniform({out.data_ptr<float>(), static_cast<std::size_t>(out.numel())});
    return out.to(at::kDouble);
  };
  const auto angle = at::arange(80, at::kDouble) / 80 * 6.28;
  return {
      {{uniform(100), {}}, {uniform(120), {}}},
      {{uniform(100), {}}, {uniform(100) * 0.5 + 0.3, random_weights(random, 100, true)}},
      {{normal(random, {80, 5}), {}}, {normal(random, {80, 5}) + 1, {}}},
      {{normal(random, {80, 2}), random_weights(random, 80)},
       {3 * at::stack({angle.cos(), angle.sin()}, 1), {}}},
  };
}

Measure single(const Measure& measure) {
  return {measure.points.to(at::kFloat),
          measure.weights.defined() ? measure.weights.to(at::kFloat) : Tensor()};
}

}  // namespace

TEST_CASE("by default the divergence is within a thousandth of its limit, in either precision") {
  Random random(1, "divergence");
  for (const auto& [alpha, beta] : pairs(random)) {
    for (const int p : {1, 2}) {
      CAPTURE(p);
      const auto limit =
          sinkhorn_divergence(alpha, beta, {.p = p, .tolerance = 1e-7, .max_iterations = 20000});
      REQUIRE(limit.convergence == Convergence::Reached);
      const auto usual = sinkhorn_divergence(alpha, beta, {.p = p});
      CHECK(usual.convergence == Convergence::Reached);
      CHECK(value_of(usual.value) == doctest::Approx(value_of(limit.value)).epsilon(1e-3));
      const auto fast = sinkhorn_divergence(single(alpha), single(beta), {.p = p});
      CHECK((fast.value.scalar_type() == at::kFloat));
      CHECK(value_of(fast.value) == doctest::Approx(value_of(limit.value)).epsilon(1e-3));
    }
  }
}

TEST_CASE("without a limit of its own, the loop is geomloss's") {
  // The loop of the reference, in plain tensors, on matrices.
  Random random(2, "divergence");
  const auto x = normal(random, {30, 2});
  const auto y = normal(random, {40, 2}) + 0.5;
  const auto a = random_weights(random, 30);
  const auto b = random_weights(random, 40);
  for (const int p : {1, 2}) {
    const double blur = 0.1;
    const auto cost = [&](const Tensor& u, const Tensor& v) {
      return p == 2 ? half_squares(u, v) : distance_powers(u, v, 1);
    };
    const auto softmin = [](double epsilon, const Tensor& c, const Tensor& h) {
      return -epsilon * at::logsumexp(h.unsqueeze(0) - c / epsilon, 1);
    };
    const auto all = at::cat({x, y});
    const double diameter = value_of((std::get<0>(all.max(0)) - std::get<0>(all.min(0))).norm());
    std::vector<double> epsilons = {std::pow(diameter, p)};
    for (double e = p * std::log(diameter); e > p * std::log(blur); e += p * std::log(0.5))
      epsilons.push_back(std::exp(e));
    epsilons.push_back(std::pow(blur, p));
    const auto xy = cost(x, y), xx = cost(x, x), yy = cost(y, y);
    const auto la = a.log(), lb = b.log();
    auto f = softmin(epsilons[0], xy, lb), g = softmin(epsilons[0], xy.t(), la);
    auto fa = softmin(epsilons[0], xx, la), gb = softmin(epsilons[0], yy, lb);
    for (const double e : epsilons) {
      const auto ft = softmin(e, xy, lb + g / e), gt = softmin(e, xy.t(), la + f / e);
      fa = (fa + softmin(e, xx, la + fa / e)) / 2;
      gb = (gb + softmin(e, yy, lb + gb / e)) / 2;
      f = (f + ft) / 2;
      g = (g + gt) / 2;
    }
    const double e = epsilons.back();
    const auto ft = softmin(e, xy, lb + g / e), gt = softmin(e, xy.t(), la + f / e);
    const auto value =
        a.dot(ft - softmin(e, xx, la + fa / e)) + b.dot(gt - softmin(e, yy, lb + gb / e));

    const auto ours =
        sinkhorn_divergence({x, a}, {y, b}, {.p = p, .blur = blur, .max_iterations = 0});
    CHECK(value_of(ours.value) == doctest::Approx(value_of(value)).epsilon(1e-11));
    CHECK(ours.iterations == 0);
  }
}

TEST_CASE("undebiased, it is the entropic transport of the same plan") {
  Random random(3, "divergence");
  const auto x = normal(random, {40, 2});
  const auto y = normal(random, {30, 2});
  const auto a = random_weights(random, 40);
  const auto b = random_weights(random, 30);
  const double blur = 0.5;
  const double epsilon = blur * blur;
  const auto d =
      sinkhorn_divergence({x, a}, {y, b}, {.blur = blur, .debias = false, .tolerance = 1e-11});
  const auto c = sinkhorn(a, b, half_squares(x, y), {.epsilon = epsilon, .tolerance = 1e-11});
  // <P, C> + eps KL(P | a b) there, <P, C> - eps H(P) here: they differ by the entropies of a and
  // b.
  const double entropies = value_of((a * a.log()).sum() + (b * b.log()).sum());
  CHECK(value_of(d.value) ==
        doctest::Approx(value_of(c.objective) + epsilon - epsilon * entropies).epsilon(1e-9));
  const auto plan = (a.unsqueeze(1) * b.unsqueeze(0)) *
                    ((d.f.unsqueeze(1) + d.g.unsqueeze(0) - half_squares(x, y)) / epsilon).exp();
  CHECK((plan - c.plan).abs().max().item<double>() <= 1e-9);
  CHECK(entropic_map({x, a}, {y, b}, {.blur = blur, .tolerance = 1e-11})
            .allclose(barycentric_map(c.plan, y), 1e-7, 1e-7));
}

TEST_CASE("the divergence is symmetric, not negative, and zero for equal measures") {
  Random random(4, "divergence");
  for (const auto& [alpha, beta] : pairs(random)) {
    for (const int p : {1, 2}) {
      const auto s = [&](const Measure& u, const Measure& v) {
        return value_of(sinkhorn_divergence(u, v, {.p = p}).value);
      };
      CHECK(s(alpha, beta) > 0);
      CHECK(s(alpha, beta) == doctest::Approx(s(beta, alpha)).epsilon(1e-3));
      CHECK(std::abs(s(alpha, alpha)) <= 1e-6);
      CHECK(std::abs(s(single(alpha), single(alpha))) <= 1e-6);
      const Measure near{alpha.points + 1e-4 * normal(random, alpha.points.sizes().vec()),
                         alpha.weights};
      CHECK(s(alpha, near) >= -1e-6);
      CHECK(s(single(alpha), single(near)) >= -1e-6);
      // Order and duplicates are not part of a measure.
      const Measure twice{
          at::cat({beta.points, beta.points}),
          beta.weights.defined() ? at::cat({beta.weights, beta.weights}) : Tensor()};
      CHECK(s(alpha, twice) == doctest::Approx(s(alpha, beta)).epsilon(1e-3));
    }
  }
}

TEST_CASE("single points: half of the square, the distance, and nothing for the same one") {
  for (const auto type : {at::kFloat, at::kDouble}) {
    const auto x = matrix({{1.0, 2.0}}).to(type);
    const auto y = matrix({{4.0, 6.0}}).to(type);
    CHECK(value_of(sinkhorn_divergence({x, {}}, {y, {}}).value) == doctest::Approx(12.5));
    CHECK(value_of(sinkhorn_divergence({x, {}}, {y, {}}, {.p = 1}).value) == doctest::Approx(5));
    CHECK(value_of(w2({x, {}}, {y, {}})) == doctest::Approx(5));
    for (const int p : {1, 2}) {
      CHECK(value_of(sinkhorn_divergence({x, {}}, {x, {}}, {.p = p}).value) == 0);
    }
    CHECK(value_of(w2({x, {}}, {x, {}})) == 0);
  }
}

TEST_CASE("a shift by (1, 1) has w2 of the square root of two") {
  Random random(5, "divergence");
  const auto x = normal(random, {150, 2});
  // For a shift the debiased value is exact at every temperature; the rest is the iteration's.
  CHECK(value_of(w2({x, {}}, {x + 1, {}})) == doctest::Approx(std::sqrt(2.0)).epsilon(1e-4));
  CHECK(value_of(w2({x.to(at::kFloat), {}}, {x.to(at::kFloat) + 1, {}})) ==
        doctest::Approx(std::sqrt(2.0)).epsilon(1e-4));
}

TEST_CASE("the divergence has the gradient of finite differences") {
  Random random(6, "divergence");
  const auto x = normal(random, {6, 2});
  const auto y = normal(random, {5, 2}) + 0.3;
  const auto a = random_weights(random, 6);
  const auto b = random_weights(random, 5);
  for (const int p : {1, 2}) {
    for (const double reach : {0.0, 1.5}) {
      for (const bool debias : {true, false}) {
        CAPTURE(p);
        CAPTURE(reach);
        CAPTURE(debias);
        const DivergenceOptions options{
            .p = p, .blur = 0.4, .debias = debias, .reach = reach, .tolerance = 1e-12};
        const auto s = [&](const Measure& u, const Measure& v) {
          return sinkhorn_divergence(u, v, options).value;
        };
        // Iterated to 1e-12, so that the differences are good to some 1e-8.
        check_gradient([&](const Tensor& t) { return s({t, a}, {y, b}); }, x, 1e-6);
        check_gradient([&](const Tensor& t) { return s({x, a}, {t, b}); }, y, 1e-6);
        check_gradient([&](const Tensor& t) { return s({x, t}, {y, b}); }, a, 1e-6);
        check_gradient([&](const Tensor& t) { return s({x, a}, {y, t}); }, b, 1e-6);
      }
    }
  }
  check_gradient(
      [&](const Tensor& t) { return w2({t, a}, {y, b}, {.blur = 0.4, .tolerance = 1e-12}); }, x,
      1e-5);
}

TEST_CASE(
    "the unbalanced value is that of the best plan, and goes to the balanced one with the reach") {
  Random random(7, "divergence");
  const auto x = normal(random, {5, 2});
  const auto y = normal(random, {6, 2});
  const auto a = 1.5 * random_weights(random, 5);
  const auto b = 0.7 * random_weights(random, 6);
  const double epsilon = 0.25;
  const double rho = 1;
  const auto d = sinkhorn_divergence(
      {x, a}, {y, b}, {.blur = 0.5, .debias = false, .reach = 1, .tolerance = 1e-12});
  const auto kl = [](const Tensor& p, const Tensor& q) {
    return value_of((p * (p / q).log() - p + q).sum());
  };
  const auto cost = half_squares(x, y);
  const auto product = a.unsqueeze(1) * b.unsqueeze(0);
  const auto objective = [&](const Tensor& plan) {
    return value_of((plan * cost).sum()) + epsilon * kl(plan, product) + rho * kl(plan.sum(1), a) +
           rho * kl(plan.sum(0), b);
  };
  const auto plan = product * ((d.f.unsqueeze(1) + d.g.unsqueeze(0) - cost) / epsilon).exp();
  CHECK(value_of(d.value) == doctest::Approx(objective(plan)).epsilon(1e-9));
  for (int repeat = 0; repeat < 30; ++repeat)
    CHECK(objective(plan * (1 + 0.01 * normal(random, {5, 6}))) >= objective(plan));

  const Measure even_a{x, a / a.sum()};
  const Measure even_b{y, b / b.sum()};
  CHECK(value_of(sinkhorn_divergence(even_a, even_b, {.blur = 0.5, .reach = 1e3}).value) ==
        doctest::Approx(value_of(sinkhorn_divergence(even_a, even_b, {.blur = 0.5}).value))
            .epsilon(1e-3));
  // Mass is not normalised there: twice as much is another measure.
  CHECK(value_of(sinkhorn_divergence({x, 2 * a}, {x, a}, {.reach = 1}).value) > 0.01);
}

TEST_CASE("half a gradient is asked for: only that is computed, and the second is refused") {
  Random random(8, "divergence");
  const auto x = normal(random, {4, 2}).set_requires_grad(true);
  const auto y = normal(random, {4, 2});
  const auto value = sinkhorn_divergence({x, {}}, {y, {}}).value;
  CHECK_THROWS_AS(value.backward({}, true, /*create_graph=*/true), Error);
  CHECK(!sinkhorn_divergence({y, {}}, {y, {}}).value.requires_grad());
}

TEST_CASE("the same bits each time, and large clouds need no matrix") {
  Random random(9, "divergence");
  const auto x = normal(random, {3000, 2}).to(at::kFloat).set_requires_grad(true);
  const auto y = normal(random, {2500, 2}).to(at::kFloat);
  const auto run = [&] {
    if (x.grad().defined()) x.mutable_grad() = Tensor();
    const auto value = sinkhorn_divergence({x, {}}, {y, {}}, {.max_iterations = 3}).value;
    value.backward();
    return std::pair{value.item<double>(), x.grad().clone()};
  };
  const auto [first, slope] = run();
  const auto [second, again] = run();
  CHECK(first == second);
  CHECK(slope.equal(again));
}

}  // namespace perturb::transport
