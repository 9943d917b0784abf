// The optimizer that remembers its best, against its rule written out.
#include <cmath>

#include "doctest_torch.h"
#include "perturb/catalog/catalog.h"
#include "perturb/train/optimizer.h"
#include "train/declared.h"

namespace perturb {
namespace {

struct Point final : Model {
  Point() { w = add_parameter("point.w", {2}, Role::Weight, 1, 1); }
  Tensor forward(const Tensor& inputs, Pass&) override { return inputs * w; }
  Tensor w;
};

/// One at (0, 0) with the defaults, but what `options` say.
struct Guarded {
  explicit Guarded(const std::map<std::string, Value>& options) : state({&model}, at::kCPU) {
    static const Schema schema = builtin_schema();
    Condition condition;
    for (const auto& parameter : schema.find(Family::Optimizer, "guarded")->parameters)
      condition.set("optimizer." + parameter.name, *parameter.fallback);
    for (const auto& [name, value] : options) condition.set("optimizer." + name, value);
    optimizer = builtins().optimizers.at("guarded")();
    optimizer->configure(condition);
    state.reset_moments(optimizer->moments());
    state.parameters().zero_();
  }
  /// A step with this loss and the gradient (g, 0); gives the first coordinate.
  double step(double loss, double g) {
    state.gradients().zero_();
    state.gradients()[0] = g;
    optimizer->step(state, 1, at::scalar_tensor(loss));
    state.count_update();
    return state.parameters()[0].item<double>();
  }

  Point model;
  FlatState state;
  std::unique_ptr<Optimizer> optimizer;
};

const std::map<std::string, Value> kPlain = {
    {"lr", 0.1}, {"momentum", 0.5}, {"longest_step", 10.0}, {"steps", 100}, {"patience", 50}};

std::map<std::string, Value> with(std::map<std::string, Value> more) {
  more.insert(kPlain.begin(), kPlain.end());
  return more;
}

TEST_CASE("the rate grows after a new best and shrinks otherwise; momentum is a mean") {
  Guarded one(kPlain);
  double d = 0.5 * -0.1;
  double w = d;
  CHECK(one.step(5, 1) == doctest::Approx(w));
  d = 0.5 * d + 0.5 * -0.1 * 1.05;
  CHECK(one.step(4, 1) == doctest::Approx(w += d));
  d = 0.5 * d + 0.5 * -0.1 * 1.05 * 0.9;
  CHECK(one.step(4.5, 1) == doctest::Approx(w += d));
}

TEST_CASE("no step is longer than is allowed") {
  Guarded one(with({{"longest_step", 0.02}, {"momentum", 0.0}}));
  CHECK(one.step(5, 100) == doctest::Approx(-0.02));
  CHECK(one.step(4, -100) == doctest::Approx(0).scale(1));
}

TEST_CASE("a rise that lasts goes back to the best, without momentum") {
  Guarded one(with({{"rises", 2}}));
  one.step(5, 1);
  const double best = one.state.parameters()[0].item<double>();
  one.step(3, 1);  // of `best`
  one.step(4, 1);
  CHECK(one.step(4.1, 1) == best);
  // From there: half of one step, no rest of the former ones. Rises, waits and going back: 0.9
  // each.
  const double rate = 0.1 * 1.05 * 0.9 * 0.9 * 0.9;
  CHECK(one.step(3.5, 1) == doctest::Approx(best - 0.5 * rate * 0.9));
}

TEST_CASE("without patience it ends at the best, and stays there whatever comes") {
  Guarded one(with({{"patience", 2}, {"rises", 10}}));
  one.step(5, 1);
  const double best = one.state.parameters()[0].item<double>();
  one.step(3, 1);
  one.step(3.5, 1);
  CHECK(one.step(3.4, 1) == best);
  CHECK(one.step(-1, 1) == best);
}

TEST_CASE("its budget spent, the parameters are the best that were evaluated, never later ones") {
  Guarded one(with({{"steps", 3}}));
  one.step(5, 1);
  const double second = one.state.parameters()[0].item<double>();
  one.step(4, 1);  // of `second`
  CHECK(one.step(4.5, 1) == second);
  CHECK(one.step(1, 1) == second);
  Guarded falling(with({{"steps", 3}}));
  falling.step(5, 1);
  falling.step(4, 1);
  const double last = falling.state.parameters()[0].item<double>();
  CHECK(falling.step(3, 1) == last);
}

}  // namespace
}  // namespace perturb
