#include "perturb/train/optimizer.h"

#include <span>

#include "builtin/optimizer_trajectories.h"
#include "doctest_torch.h"
#include "perturb/catalog/catalog.h"
#include "perturb/train/schedule.h"
#include "train/declared.h"

namespace perturb {
namespace {

struct Plain final : Model {
  explicit Plain(std::int64_t size) { w = add_parameter("w", {size}, Role::Weight, 1, 1); }
  Tensor forward(const Tensor& inputs, Pass&) override { return inputs * w; }
  Tensor w;
};

/// `optimizer.*` with defaults where `options` says nothing.
Condition hyperparameters(const std::string& kind, const std::map<std::string, Value>& options,
                          const std::map<std::string, Value>& change = {}) {
  static const Schema schema = builtin_schema();
  Condition condition;
  for (const auto& parameter : schema.find(Family::Optimizer, kind)->parameters) {
    condition.set("optimizer." + parameter.name, *parameter.fallback);
  }
  for (const auto& [name, value] : options) condition.set("optimizer." + name, value);
  for (const auto& [name, value] : change) condition.set("optimizer." + name, value);
  return condition;
}

Tensor vector(std::span<const float> values) {
  return at::tensor(at::ArrayRef<float>(values.data(), values.size()));
}

TEST_CASE("optimizers follow PyTorch's trajectories, also when hyperparameters change") {
  for (const auto& [kind, options, change, end] : kTrajectories) {
    Plain model(kStart.size());
    FlatState state({&model}, at::kCPU);
    state.parameters().copy_(vector(kStart));
    const auto optimizer = builtins().optimizers.at(kind)();
    optimizer->configure(hyperparameters(kind, options));
    state.reset_moments(optimizer->moments());
    for (int t = 0; t < kSteps; ++t) {
      if (t == kChange) optimizer->configure(hyperparameters(kind, options, change));
      state.gradients().copy_(state.parameters() * vector(kScale) + 0.1 * (t + 1));
      optimizer->step(state, 1, at::zeros({}));
      state.count_update();
    }
    // Eight steps of float32 operations, some in another order than PyTorch's.
    CHECK_MESSAGE(at::allclose(state.parameters(), vector(end), 2e-6, 1e-6), kind,
                  to_json(hyperparameters(kind, options)), state.parameters());
  }
}

TEST_CASE("the factor scales the learning rate") {
  for (const std::string kind : {"sgd", "adam", "adamw"}) {
    const auto end = [&](double lr, double factor) {
      Plain model(kStart.size());
      FlatState state({&model}, at::kCPU);
      state.parameters().copy_(vector(kStart));
      const auto optimizer = builtins().optimizers.at(kind)();
      optimizer->configure(hyperparameters(kind, {{"lr", lr}}));
      state.reset_moments(optimizer->moments());
      state.gradients().fill_(0.25);
      optimizer->step(state, factor, at::zeros({}));
      return state.parameters().clone();
    };
    CHECK(at::equal(end(0.5, 0.25), end(0.125, 1)));
    CHECK_FALSE(at::equal(end(0.5, 0.25), end(0.5, 1)));
  }
}

double factor(std::map<std::string, Value> fields, std::int64_t step, std::int64_t epoch = 0) {
  Condition condition;
  condition.set("schedule.warmup", 0);
  for (const auto& [name, value] : fields) condition.set("schedule." + name, value);
  const auto& make = builtins().schedules.at(condition.text("schedule.kind"));
  return make(condition)->factor(step, epoch);
}

TEST_CASE("schedules") {
  CHECK(factor({{"kind", "constant"}}, 1000) == 1);

  const std::map<std::string, Value> steps = {{"kind", "step"}, {"every", 3}, {"factor", 0.5}};
  CHECK(factor(steps, 0, 2) == 1);
  CHECK(factor(steps, 0, 3) == 0.5);
  CHECK(factor(steps, 0, 8) == 0.25);

  std::map<std::string, Value> cosine = {{"kind", "cosine"}, {"horizon", 100}, {"floor", 0.1}};
  CHECK(factor(cosine, 0) == 1);
  CHECK(factor(cosine, 50) == doctest::Approx(0.55));
  CHECK(factor(cosine, 100) == doctest::Approx(0.1));
  CHECK(factor(cosine, 1000) == doctest::Approx(0.1));

  std::map<std::string, Value> warm = {{"kind", "constant"}, {"warmup", 4}};
  CHECK(factor(warm, 0) == 0.25);
  CHECK(factor(warm, 3) == 1);
  CHECK(factor(warm, 4) == 1);
}

}  // namespace
}  // namespace perturb
