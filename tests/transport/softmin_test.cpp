// The pass over all pairs and what is built on it, against the same sums written plainly.
#include "transport/softmin.h"

#include <cmath>
#include <numbers>

#include "transport/examples.h"
#include "transport/last_update.h"
#include "transport/scaling.h"

namespace perturb::transport {
namespace {

Doubles random_doubles(Random& random, std::size_t count, double scale) {
  Doubles out(count);
  for (auto& x : out) x = static_cast<float>(scale * static_cast<double>(random.normal()));
  return out;
}

Clouds random_clouds(Random& random, std::int64_t n, std::int64_t m, std::int64_t d,
                     Ground ground) {
  Clouds clouds;
  clouds.dimensions = d;
  clouds.ground = ground;
  clouds.x = random_doubles(random, static_cast<std::size_t>(n * d), 1);
  clouds.y = random_doubles(random, static_cast<std::size_t>(m * d), 1);
  for (std::int64_t i = 0; i < n; ++i)
    clouds.a.push_back(i % 5 == 3 ? 0 : static_cast<float>(1 + random.uniform()) / 64);
  for (std::int64_t j = 0; j < m; ++j)
    clouds.b.push_back(j % 7 == 3 ? 0 : static_cast<float>(1 + random.uniform()) / 64);
  return clouds;
}

double cost(const Clouds& clouds, std::size_t i, std::size_t j) {
  double square = 0;
  const auto d = static_cast<std::size_t>(clouds.dimensions);
  for (std::size_t k = 0; k < d; ++k)
    square += std::pow(clouds.x[i * d + k] - clouds.y[j * d + k], 2);
  return clouds.ground == Ground::Distance ? std::sqrt(square) : square / 2;
}

/// -eps log sum_j b_j exp((g_j - C_ij) / eps) for all i, stabilised by the greatest exponent.
Doubles plain_softmin(const Clouds& clouds, double epsilon, const Doubles& g) {
  Doubles out;
  for (std::size_t i = 0; i < clouds.a.size(); ++i) {
    double most = -HUGE_VAL;
    for (std::size_t j = 0; j < g.size(); ++j) {
      if (clouds.b[j] > 0) most = std::max(most, g[j] - cost(clouds, i, j));
    }
    double sum = 0;
    for (std::size_t j = 0; j < g.size(); ++j)
      sum += clouds.b[j] * std::exp((g[j] - cost(clouds, i, j) - most) / epsilon);
    out.push_back(-most - epsilon * std::log(sum));
  }
  return out;
}

Clouds turned(const Clouds& clouds) {
  return {clouds.y, clouds.x, clouds.b, clouds.a, clouds.dimensions, clouds.ground};
}

double furthest(const Doubles& u, const Doubles& v) {
  REQUIRE(u.size() == v.size());
  double most = 0;
  for (std::size_t i = 0; i < u.size(); ++i) most = std::max(most, std::abs(u[i] - v[i]));
  return most;
}

}  // namespace

TEST_CASE("both softmins are the sums that define them, whatever size, ground and precision") {
  Random random(1, "softmin");
  for (const auto ground : {Ground::HalfSquare, Ground::Distance}) {
    for (const auto& [n, m, d] :
         {std::tuple{1, 1, 1}, {5, 3, 2}, {37, 530, 2}, {600, 41, 3}, {70, 90, 9}}) {
      const auto clouds = random_clouds(random, n, m, d, ground);
      for (const double epsilon : {1.0, 0.01}) {
        const auto f = random_doubles(random, clouds.a.size(), 0.1);
        const auto g = random_doubles(random, clouds.b.size(), 0.1);
        const auto right_f = plain_softmin(clouds, epsilon, g);
        const auto right_g = plain_softmin(turned(clouds), epsilon, f);
        // A potential is wrong by the rounding of the exponent, which is costs (up to 30) over
        // epsilon.
        for (const auto& [precision, bound] :
             {std::pair{Precision::Single, 3e-5}, {Precision::Double, 3e-13}}) {
          for (const std::int64_t matrix_entries : {0, 1 << 20}) {
            Doubles next_f, next_g;
            softmin_between(clouds, precision, matrix_entries)->both(epsilon, f, g, next_f, next_g);
            CHECK(furthest(next_f, right_f) <= bound);
            CHECK(furthest(next_g, right_g) <= bound);
          }
        }
      }
    }
  }
}

TEST_CASE("within a cloud, half of the pairs give the same as all of them") {
  Random random(2, "softmin");
  for (const std::int64_t n : {1, 3, 100, 513, 1030}) {
    auto clouds = random_clouds(random, n, n, 2, Ground::HalfSquare);
    clouds.y = clouds.x;
    clouds.b = clouds.a;
    const auto f = random_doubles(random, clouds.a.size(), 0.1);
    Doubles all_f, all_g, half_f, half_g;
    softmin_between(clouds, Precision::Double, 0)->both(0.1, f, f, all_f, all_g);
    softmin_within(clouds, Precision::Double, 0)->both(0.1, f, f, half_f, half_g);
    CHECK(furthest(all_f, half_f) <= 1e-13);
    CHECK(furthest(all_g, half_g) <= 1e-13);
  }
}

TEST_CASE("exponents out of any range are summed all the same") {
  Random random(3, "softmin");
  auto clouds = random_clouds(random, 20, 30, 2, Ground::HalfSquare);
  for (auto& x : clouds.x) x = static_cast<float>(x + 100);  // costs of 10^4
  const Doubles f(20, 0.0);
  const Doubles g(30, 0.0);
  const auto right = plain_softmin(clouds, 1e-3, g);  // exponents of -10^7
  for (const auto precision : {Precision::Single, Precision::Double}) {
    Doubles next_f, next_g;
    softmin_between(clouds, precision, 0)->both(1e-3, f, g, next_f, next_g);
    CHECK(furthest(next_f, right) <= 1e-10 * 1e4);
  }
}

TEST_CASE("the last update's derivative is that of the softmin, also far from the answer") {
  Random random(4, "softmin");
  for (const auto ground : {Ground::HalfSquare, Ground::Distance}) {
    for (const double offset : {0.0, 60.0}) {
      auto clouds = random_clouds(random, 4, 6, 2, ground);
      for (auto& x : clouds.x) x += offset;
      const double epsilon = 0.5;
      const Potentials former{Doubles(4, 0.0), random_doubles(random, 6, 0.3)};
      const auto last = last_update(clouds, epsilon, former, true);
      CHECK(furthest(last.potentials.f, plain_softmin(clouds, epsilon, former.g)) <= 1e-11);
      for (std::size_t k = 0; k < clouds.x.size(); ++k) {
        constexpr double kStep = 1e-5;
        auto up = clouds;
        auto down = clouds;
        up.x[k] += kStep;
        down.x[k] -= kStep;
        const double difference = (plain_softmin(up, epsilon, former.g)[k / 2] -
                                   plain_softmin(down, epsilon, former.g)[k / 2]) /
                                  (2 * kStep);
        // Costs of 3,600 leave 12 digits to the difference.
        CHECK(std::abs(last.x[k] - difference) <= 1e-6);
      }
    }
  }
}

TEST_CASE("temperatures fall as geomloss has them") {
  CHECK(temperatures(1, 0.1, 0.5) == Doubles{1, 1, std::exp(std::log(0.5)),
                                             std::exp(2 * std::log(0.5)),
                                             std::exp(3 * std::log(0.5)), 0.1});
  CHECK(temperatures(0.1, 1, 0.5) == Doubles{1});
  CHECK(temperatures(0, 1, 0.5) == Doubles{1});
}

}  // namespace perturb::transport
