// Tiny networks: arithmetic of our own, and steps without LibTorch's graph.
#include "perturb/train/small_linear.h"

#include <memory>
#include <vector>

#include <ATen/ATen.h>
#include <torch/csrc/autograd/autograd.h>

#include "doctest_torch.h"
#include "perturb/core/random.h"
#include "perturb/train/draw.h"
#include "perturb/train/flat_state.h"
#include "perturb/train/quick.h"
#include "perturb/train/supervised.h"
#include "train/declared.h"

namespace perturb {
namespace {

Tensor normal(Random& random, const std::vector<std::int64_t>& shape) {
  return draw_normal(random, shape);
}

struct Layer {
  explicit Layer(std::uint64_t seed) {
    Random random(seed, "layer");
    x = normal(random, {7, 5}).requires_grad_();
    weight = normal(random, {3, 5}).requires_grad_();
    bias = normal(random, {3}).requires_grad_();
  }
  Tensor x, weight, bias;
};

bool close(const Tensor& a, const Tensor& b) { return at::allclose(a, b, 1e-5, 1e-6); }

/// A least-squares task: what does not know a shorter way to the outputs' slopes.
class Squares final : public Supervised {
 protected:
  Tensor losses(const Tensor& outputs, const Tensor& targets) override {
    return (outputs - at::one_hot(targets, outputs.size(1))).square().mean(1);
  }
};

/// Sees everything and changes nothing.
class Onlooker final : public Probe {
 public:
  Tensor at(std::string_view, const Tensor& value) override { return value; }
};

/// Loss and gradients of one step.
struct Step1 {
  Tensor loss, gradients;
};

Step1 step(Task& task, const Declared& declared, bool watched) {
  const auto& condition = declared.assignment.trial.start();
  FlatState state(task.start({condition, declared.data, builtins()}), at::kCPU);
  state.gradients().zero_();
  Onlooker onlooker;
  auto pass = Pass::training(0, 0);
  if (watched) pass.add(onlooker);
  const auto loss = task.step(declared.data.train.range(0, 13), pass);
  return {loss, state.gradients().clone()};
}

}  // namespace

TEST_CASE("a tiny layer computes what LibTorch's does, with derivatives of both orders") {
  Layer mine(1), theirs(1);
  const auto y = small_linear(mine.x, mine.weight, mine.bias);
  const auto expected = at::linear(theirs.x, theirs.weight, theirs.bias);
  CHECK(close(y, expected));
  const auto derived = [](const Tensor& out, const Layer& layer, bool again) {
    return torch::autograd::grad({out.square().sum()}, {layer.x, layer.weight, layer.bias}, {},
                                 /*retain_graph=*/true, /*create_graph=*/again);
  };
  for (const bool again : {false, true}) {
    const auto a = derived(y, mine, again), b = derived(expected, theirs, again);
    for (std::size_t i = 0; i < a.size(); ++i) CHECK(close(a[i], b[i]));
    if (!again) continue;
    const auto aa = torch::autograd::grad({a[1].square().sum()}, {mine.x, mine.weight});
    const auto bb = torch::autograd::grad({b[1].square().sum()}, {theirs.x, theirs.weight});
    for (std::size_t i = 0; i < aa.size(); ++i) CHECK(close(aa[i], bb[i]));
  }
}

TEST_CASE("an example's row does not depend on the batch that it is in") {
  const Layer layer(2);
  const at::NoGradGuard no_gradients;
  const auto all = small_linear(layer.x, layer.weight, layer.bias);
  for (std::int64_t i = 0; i < all.size(0); ++i)
    CHECK(at::equal(small_linear(layer.x.narrow(0, i, 1), layer.weight, layer.bias),
                    all.narrow(0, i, 1)));
}

TEST_CASE("a step without history has the bits of one with it") {
  for (const char* hidden : {"[16]", "[10, 10, 10]", "[1]", "[]", "[32, 32]"}) {
    CAPTURE(hidden);
    const Declared declared(small_trial(), 0, {"model.hidden=" + std::string(hidden)});
    const auto make = [&](bool squares) -> std::unique_ptr<Task> {
      if (squares) return std::make_unique<Squares>();
      return builtins().tasks.at("classification")(declared.assignment.trial.start());
    };
    for (const bool squares : {false, true}) {
      CAPTURE(squares);
      const auto quick = step(*make(squares), declared, false);
      const auto watched = step(*make(squares), declared, true);
      CHECK(at::equal(quick.loss, watched.loss));
      CHECK(at::equal(quick.gradients, watched.gradients));
      CHECK(quick.gradients.abs().max().item<float>() > 0);
    }
  }
}

TEST_CASE("layers that a BLAS computes faster are left to it") {
  CHECK(is_small(at::empty({16, 16})));
  CHECK_FALSE(is_small(at::empty({784, 32})));
  CHECK_FALSE(is_small(at::empty({4, 4}, at::kDouble)));
}

}  // namespace perturb
