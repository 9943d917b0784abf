#include <cmath>

#include "doctest_torch.h"
#include "perturb/core/random.h"
#include "perturb/train/draw.h"
#include "perturb/train/intervention.h"
#include "train/declared.h"

namespace perturb {
namespace {

/// Tensors of several shapes, among them a zero one and one of a single element.
struct Odd final : Model {
  Odd() {
    add("matrix.weight", {40, 30});
    add("pair.weight", {2});
    add("kernel.weight", {6, 1, 5, 5});
    add("single.weight", {1});
    add_parameter("zero.weight", {7}, Role::Weight, 1, 1);
  }
  void add(const std::string& name, const std::vector<std::int64_t>& shape) {
    const auto tensor = add_parameter(name, shape, Role::Weight, 1, 1);
    Random random(0, name);
    const at::NoGradGuard no_gradients;
    tensor.copy_(draw_normal(random, shape).mul_(0.3));
  }
  Tensor forward(const Tensor& inputs, Pass&) override { return inputs; }
};

struct Perturbed {
  explicit Perturbed(const Parameters& changed, std::int64_t step = 0) : state({&model}, at::kCPU) {
    before = state.parameters().clone();
    Parameters parameters = {{"mode", "gaussian"},
                             {"epsilon", 0.1},
                             {"relative_to", "norm"},
                             {"seed", 0},
                             {"layers", "*"}};
    for (const auto& [name, value] : changed) parameters[name] = value;
    Condition condition;
    condition.set("seeds.noise", 0);
    builtins().interventions.at("perturb-weights")(parameters, condition)->perturb(state, step);
    after = state.parameters().clone();
  }
  Odd model;
  FlatState state;
  Tensor before, after;
};

double euclidean(const Tensor& t) { return t.to(at::kDouble).norm().item<double>(); }

bool same_bits(const Tensor& a, const Tensor& b) {
  return at::equal(a.view(at::kInt), b.view(at::kInt));
}

TEST_CASE("rotate keeps the norm and moves by epsilon") {
  for (const double epsilon : {1e-3, 0.1, 1.0, 1.9}) {
    const Perturbed p({{"mode", "rotate"}, {"epsilon", epsilon}});
    for (const auto& slice : p.state.layout()) {
      const auto before = slice.of(p.before), after = slice.of(p.after);
      const double r = euclidean(before);
      if (slice.size == 1 || r == 0) {
        CHECK_MESSAGE(same_bits(before, after), "it cannot turn: ", slice.name);
        continue;
      }
      // The result is rounded to float32: 6e-8 of the norm.
      CHECK(euclidean(after) == doctest::Approx(r).epsilon(1e-6));
      CHECK(std::abs(euclidean(after.to(at::kDouble) - before) - epsilon * r) < 1e-6 * r);
    }
  }
}

TEST_CASE("an absolute rotation moves by epsilon, whatever the norm") {
  const Perturbed p({{"mode", "rotate"}, {"epsilon", 0.05}, {"relative_to", "none"}});
  for (const auto& slice : p.state.layout()) {
    if (slice.size == 1 || euclidean(slice.of(p.before)) == 0) continue;
    const double moved = euclidean(slice.of(p.after).to(at::kDouble) - slice.of(p.before));
    CHECK(moved == doctest::Approx(0.05).epsilon(1e-5));
  }
  const Parameters too_far = {{"mode", "rotate"}, {"epsilon", 100.0}, {"relative_to", "none"}};
  CHECK_THROWS_AS(Perturbed{too_far}, Error);
}

TEST_CASE("rotate by twice the norm negates") {
  const Perturbed p({{"mode", "rotate"}, {"epsilon", 2.0}});
  CHECK(at::equal(p.after, -p.before));
}

TEST_CASE("strength 0 changes no bit") {
  for (const std::string mode : {"gaussian", "rotate"}) {
    for (const std::string relative_to : {"norm", "none"}) {
      const Perturbed p({{"mode", mode}, {"epsilon", 0.0}, {"relative_to", relative_to}});
      CHECK(same_bits(p.before, p.after));
    }
  }
}

TEST_CASE("gaussian noise has the promised size") {
  const auto size = [](const std::string& relative_to) {
    const Perturbed p({{"epsilon", 0.1}, {"relative_to", relative_to}});
    const auto& largest = p.state.layout()[0];
    const auto noise = (largest.of(p.after) - largest.of(p.before)).to(at::kDouble);
    return noise.std().item<double>() / 0.1;
  };
  const Odd model;
  const auto w = model.parameters()[0].tensor.to(at::kDouble);
  // 1,200 draws: the sample deviation is within 5 standard errors of 2 %.
  CHECK(size("none") == doctest::Approx(1).epsilon(0.1));
  CHECK(size("std") == doctest::Approx(w.std().item<double>()).epsilon(0.1));
  CHECK(size("norm") == doctest::Approx(euclidean(w) / std::sqrt(1200.0)).epsilon(0.1));
}

TEST_CASE("seed and step address the noise, layers select") {
  const auto after = [](const Parameters& changed, std::int64_t step = 0) {
    return Perturbed(changed, step).after;
  };
  CHECK(at::equal(after({}), after({})));
  const Parameters reseeded = {{"seed", 1}};
  CHECK_FALSE(at::equal(after({}), after(reseeded)));
  CHECK_FALSE(at::equal(after({}), after({}, 1)));

  const Parameters first = {{"layers", "matrix.*"}};
  const Perturbed one(first);
  for (const auto& slice : one.state.layout()) {
    CHECK(same_bits(slice.of(one.before), slice.of(one.after)) == (slice.name != "matrix.weight"));
    // The others' selection does not move this one's noise.
    if (slice.name == "matrix.weight") CHECK(at::equal(slice.of(one.after), slice.of(after({}))));
  }
  const Parameters nothing = {{"layers", "conv*"}};
  CHECK_THROWS_AS(Perturbed{nothing}, Error);
}

}  // namespace
}  // namespace perturb
