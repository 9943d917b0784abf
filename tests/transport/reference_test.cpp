// Against SciPy, case by case: tests/reference/transport.py made the file.
#include <fstream>
#include <limits>

#include <nlohmann/json.hpp>

#include "doctest_torch.h"
#include "perturb/core/error.h"
#include "perturb/transport/assignment.h"
#include "perturb/transport/cost.h"
#include "perturb/transport/discrete.h"
#include "perturb/transport/line.h"

namespace perturb::transport {
namespace {

const nlohmann::json& reference() {
  static const auto all = [] {
    std::ifstream file("tests/transport/reference.json");
    REQUIRE(file.good());
    return nlohmann::json::parse(file);
  }();
  return all;
}

Tensor tensor(const nlohmann::json& numbers) {
  return at::tensor(numbers.get<std::vector<double>>(), at::kDouble);
}

}  // namespace

TEST_CASE("on a line, W1 is scipy.stats.wasserstein_distance") {
  std::size_t cases = 0;
  for (const auto& c : reference().at("line")) {
    const auto value =
        line_distance({tensor(c["x"]) / 8, tensor(c["a"])}, {tensor(c["y"]) / 8, tensor(c["b"])});
    // Sums of at most 20 products of numbers below 10.
    CHECK(value.item<double>() == doctest::Approx(c["w1"].get<double>()).epsilon(1e-12));
    ++cases;
  }
  CHECK(cases >= 200);
}

TEST_CASE("discrete transport costs what linprog finds, with a plan and prices that prove it") {
  std::size_t cases = 0;
  for (const auto& c : reference().at("discrete")) {
    const auto x = tensor(c["x"]).reshape({-1, 2}) / 8;
    const auto y = tensor(c["y"]).reshape({-1, 2}) / 8;
    const auto a = tensor(c["a"]);
    const auto b = tensor(c["b"]);
    const auto cost = distance_powers(x, y, 2);
    const auto exact = discrete_transport(a, b, cost);
    // HiGHS stops at 1e-7.
    CHECK(std::abs(exact.cost.item<double>() - c["cost"].get<double>()) <= 1e-6);
    // Ours are exact but for the last digits of sums of some ten costs up to 72.
    constexpr double kExact = 1e-12 * 72;
    CHECK((exact.plan.sum(1) - a / a.sum()).abs().max().item<double>() <= 1e-15);
    CHECK((exact.plan.sum(0) - b / b.sum()).abs().max().item<double>() <= 1e-15);
    CHECK(exact.plan.min().item<double>() >= 0);
    const auto slack = cost - exact.f.unsqueeze(1) - exact.g.unsqueeze(0);
    CHECK(slack.min().item<double>() >= -kExact);
    CHECK((exact.plan * slack).abs().sum().item<double>() <= kExact);
    const double dual = ((a / a.sum()).dot(exact.f) + (b / b.sum()).dot(exact.g)).item<double>();
    CHECK(std::abs(dual - exact.cost.item<double>()) <= kExact);
    ++cases;
  }
  CHECK(cases >= 200);
}

TEST_CASE("assignments cost what linear_sum_assignment finds, or there is none") {
  std::size_t cases = 0;
  for (const auto& c : reference().at("assignment")) {
    const bool maximise = c["max"].get<bool>();
    const double forbidden = maximise ? -std::numeric_limits<double>::infinity()
                                      : std::numeric_limits<double>::infinity();
    std::vector<double> entries;
    for (const auto& entry : c["c"])
      entries.push_back(entry.is_string() ? forbidden : entry.get<double>());
    const auto cost = at::tensor(entries, at::kDouble).reshape({c["n"].get<std::int64_t>(), -1});
    ++cases;
    if (c["cost"].is_null()) {
      CHECK_THROWS_AS(assign(cost, {.maximise = maximise}), Error);
      continue;
    }
    const auto found = assign(cost, {.maximise = maximise});
    CHECK(found.cost == c["cost"].get<double>());  // whole numbers
    CHECK(found.rows.size(0) == std::min(cost.size(0), cost.size(1)));
    CHECK(std::get<0>(at::_unique(found.rows)).equal(found.rows));
    CHECK(std::get<0>(at::_unique(found.columns)).size(0) == found.rows.size(0));
    CHECK(cost.index({found.rows, found.columns}).sum().item<double>() == found.cost);
  }
  CHECK(cases >= 200);
}

}  // namespace perturb::transport
