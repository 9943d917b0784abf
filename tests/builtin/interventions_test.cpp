#include <cmath>
#include <set>
#include <utility>

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
    builtins()
        .interventions.at("perturb-weights")(parameters, condition)
        ->perturb(state, {.step = step, .data = data, .initial = before});
    after = state.parameters().clone();
  }
  Odd model;
  Dataset data;
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

/// A small network under way with one intervention, step by step.
struct Steps {
  explicit Steps(const std::string& intervention, const std::string& more = "")
      : trial(small_trial(more + "[[interventions]]\n" + intervention), 1),
        session(trial.assignment, builtins(), trial.data) {}

  const FlatState& after(Step step) {
    Progress progress;
    CHECK(session.advance(step, progress) == Outcome::Done);
    return session.state();
  }
  Tensor of(const std::string& name) const {
    for (const auto& slice : session.state().layout()) {
      if (slice.name == name) return slice.of(session.state().parameters()).clone();
    }
    return {};
  }

  Declared trial;
  Session session;
};

std::int64_t zeros(const Tensor& t) { return t.eq(0).sum().item<std::int64_t>(); }

TEST_CASE("each filter is moved by its own norm") {
  for (const std::string mode : {"gaussian", "rotate"}) {
    const Perturbed p({{"mode", mode}, {"relative_to", "filter"}, {"epsilon", 0.1}});
    const auto& kernel = p.state.layout()[2];
    const auto before = kernel.of(p.before).flatten(1).to(at::kDouble);
    const auto after = kernel.of(p.after).flatten(1).to(at::kDouble);
    for (std::int64_t i = 0; i < before.size(0); ++i) {
      const double share = euclidean(after[i] - before[i]) / euclidean(before[i]);
      // 25 draws are within a half of their expectation; a rotation is exact.
      CHECK(share == doctest::Approx(0.1).epsilon(mode == "rotate" ? 1e-5 : 0.5));
    }
  }
}

TEST_CASE("pruned weights stay zero, whatever momentum wants") {
  for (const std::string by : {"magnitude", "random"}) {
    Steps run("kind = \"prune-weights\"\nfraction = 0.25\nwhen = [10, 20]\nby = \"" + by + "\"\n");
    run.after(10);
    const auto before = run.of("fc1.weight").abs();
    Tensor mask;
    for (Step step = 11; step <= 20; ++step) {
      run.after(step);
      const auto now = run.of("fc1.weight").eq(0);
      if (!mask.defined()) mask = now;
      CHECK(at::equal(mask, now));
      CHECK(now.sum().item<std::int64_t>() == 4);
      CHECK(zeros(run.of("fc1.bias")) == 0);
    }
    if (by == "magnitude") {
      const auto pruned = before.masked_select(mask).max().item<float>();
      CHECK(pruned <= before.masked_select(mask.logical_not()).min().item<float>());
    }
    run.after(22);
    CHECK(zeros(run.of("fc1.weight")) == 0);
  }
}

TEST_CASE("once pruned, weights are free again") {
  Steps run("kind = \"prune-weights\"\nfraction = 0.25\n");
  CHECK(zeros((run.after(0), run.of("fc1.weight"))) == 4);
  CHECK(zeros((run.after(1), run.of("fc1.weight"))) == 0);
}

TEST_CASE("signs flip where they are told to") {
  const Odd model;
  Odd other;
  FlatState state({&other}, at::kCPU);
  const auto before = state.parameters().clone();
  Condition condition;
  condition.set("seeds.noise", 0);
  const Parameters parameters = {{"fraction", 0.1}, {"seed", 0}, {"layers", "matrix*"}};
  builtins()
      .interventions.at("flip-signs")(parameters, condition)
      ->perturb(state, {.data = {}, .initial = before});
  const auto after = state.parameters();
  CHECK(after.ne(before).sum().item<std::int64_t>() == 120);
  CHECK(at::equal(after.abs(), before.abs()));
}

TEST_CASE("quantised weights have as many values as their bits allow") {
  for (const std::int64_t bits : {2, 3, 8}) {
    Odd model;
    FlatState state({&model}, at::kCPU);
    const auto before = state.parameters().clone();
    const Parameters parameters = {{"bits", bits}, {"layers", "*"}};
    builtins()
        .interventions.at("quantise-weights")(parameters, Condition())
        ->perturb(state, {.data = {}, .initial = before});
    for (const auto& slice : state.layout()) {
      const auto p = slice.of(state.parameters()).flatten();
      const auto former = slice.of(before).flatten();
      CHECK(std::set<float>(p.data_ptr<float>(), p.data_ptr<float>() + p.numel()).size() <=
            static_cast<std::size_t>((1 << bits) - 1));
      const auto most = former.abs().max();
      CHECK(at::allclose(p.abs().max(), most));
      const double step = most.item<double>() / static_cast<double>((1 << (bits - 1)) - 1);
      CHECK((p - former).abs().max().item<double>() <= step / 2 * (1 + 1e-5));
    }
  }
}

/// Relabelled as permute-units does it, the model computes the same.
void check_permuted(const std::string& name, DataShape shape) {
  CAPTURE(name);
  CAPTURE(shape.input);
  const auto trial = declared("model.kind = \"" + name +
                              "\"\ndata.kind = \"gaussian-blobs\"\noptimizer.kind = \"sgd\"\n")
                         .trial(0);
  auto batch = shape.input;
  batch.insert(batch.begin(), 2);
  const auto numbers = at::arange(c10::multiply_integers(batch));
  auto inputs = numbers.remainder(13).to(at::kFloat).view(batch);
  // A field takes vectors, with a time behind each.
  if (name == "flow") {
    inputs = at::cat({inputs.flatten(1), at::full({2, 1}, 0.3)}, 1);
    shape.input = {inputs.size(1) - 1};
  }
  const auto model = builtins().models.at(name)(trial.condition, shape);
  FlatState state({model.get()}, at::kCPU);
  // What is the same for all units would hide that it stayed behind, and so would zeros behind
  // them, with which a field begins.
  for (const auto& slice : state.layout()) {
    const auto values = slice.of(state.parameters());
    if (slice.role == Role::Weight && values.any().item<bool>()) continue;
    values.add_(at::sin(at::arange(slice.size)).view(slice.shape), 0.5);
  }
  state.buffers().add_(at::sin(at::arange(state.buffers().numel())).add_(1), 0.5);
  state.reset_moments(1);
  state.moments()[0].copy_(state.parameters());
  auto pass = Pass::evaluation();
  const auto before = model->forward(inputs, pass);
  const auto parameters = state.parameters().clone();
  const auto buffers = state.buffers().clone();
  builtins()
      .interventions.at("permute-units")({{"layers", "*"}, {"seed", 0}}, trial.condition)
      ->perturb(state, {.data = {}, .initial = parameters});
  // Every tensor that an axis counts units of is in another order.
  for (const auto& group : model->unit_groups()) {
    for (const auto& axis : group.axes) {
      for (const auto& slice : state.layout()) {
        if (slice.name == axis.tensor)
          CHECK_FALSE(at::equal(slice.of(state.parameters()), slice.of(parameters)));
      }
    }
  }
  CHECK(at::allclose(model->forward(inputs, pass), before, 1e-4, 1e-5));
  CHECK(at::equal(std::get<0>(state.parameters().sort()), std::get<0>(parameters.sort())));
  CHECK(at::equal(state.buffers(), buffers) == (buffers.numel() == 0));
  // What the optimizer remembers went along.
  CHECK(at::equal(state.moments()[0], state.parameters()));
}

TEST_CASE("permuted units compute the same, and train on alike") {
  // Distributions have no hidden units; whatever else there is has them.
  const std::set<std::string> without = {"normal", "binomial"};
  for (const auto& name : builtins().models.names()) {
    if (without.contains(name)) continue;
    // Channels of lenet5 and cnn are flattened on their way to a linear layer.
    check_permuted(name, {{1, 28, 28}, 10});
    if (name != "flow") check_permuted(name, {{3, 20, 20}, 10});
  }
}

TEST_CASE("what is reinitialised is drawn anew, and the optimizer forgets it") {
  Steps run("kind = \"reinitialise\"\nlayers = \"fc1.*\"\nwhen = 10\nseed = 3\n");
  const auto& state = run.after(10);
  const auto bias = run.of("fc2.bias");
  const auto condition = run.trial.assignment.trial.condition;
  auto snapshot = state.snapshot();
  builtins()
      .interventions.at("reinitialise")({{"layers", "fc1.*"}, {"seed", 3}}, condition)
      ->perturb(const_cast<FlatState&>(state), {.step = 10, .data = {}, .initial = bias});
  CHECK(at::equal(run.of("fc2.bias"), bias));
  CHECK(zeros(state.moments()[0]) == 24);
  // U(-b, b), b = 1/sqrt(2 inputs).
  CHECK(run.of("fc1.weight").abs().max().item<double>() <= std::sqrt(0.5));
  CHECK_FALSE(at::equal(state.parameters().narrow(0, 0, 16), snapshot.parameters.narrow(0, 0, 16)));
}

TEST_CASE("interpolation moves along the straight line to the beginning") {
  Steps there("kind = \"interpolate-weights\"\ntoward = \"init\"\nfraction = 1\nwhen = 10\n");
  // At 1 the step begins where training began: with the batch of step 10.
  const auto initial = there.after(0).parameters().clone();
  auto copy = there.after(10).snapshot();
  const Parameters parameters = {{"toward", "init"}, {"fraction", 0.25}, {"layers", "*"}};
  auto& state = const_cast<FlatState&>(there.session.state());
  const auto half = builtins().interventions.at("interpolate-weights")(parameters, Condition());
  half->perturb(state, {.step = 10, .data = {}, .initial = initial});
  CHECK(at::allclose(state.parameters(), copy.parameters * 0.75 + initial * 0.25));
}

TEST_CASE("noise on the weights of a batch is gone when the step is taken") {
  Odd model;
  FlatState state({&model}, at::kCPU);
  const auto before = state.parameters().clone();
  Condition condition;
  condition.set("seeds.noise", 0);
  const Parameters parameters = {
      {"epsilon", 0.5}, {"relative_to", "std"}, {"seed", 0}, {"layers", "*"}};
  const auto noise = builtins().interventions.at("weight-noise")(parameters, condition);
  noise->disturb(state, {.step = 7, .data = {}, .initial = before});
  const auto& matrix = state.layout()[0];
  const auto moved = (matrix.of(state.parameters()) - matrix.of(before)).to(at::kDouble);
  CHECK(moved.std().item<double>() ==
        doctest::Approx(0.5 * matrix.of(before).std().item<double>()).epsilon(0.1));
  // The floor of the reference: a constant tensor has noise of 1e-8.
  CHECK(state.layout()[4].of(state.parameters()).abs().max().item<double>() < 1e-7);
  noise->restore(state, {.step = 7, .data = {}, .initial = before});
  CHECK(same_bits(state.parameters(), before));
}

TEST_CASE("a gradient that is taken away leaves its layer where it is") {
  const std::string plain = "optimizer.kind = \"sgd\"\noptimizer.lr = 0.1\n";
  Steps run("kind = \"scale-gradients\"\nfactor = 0\nlayers = \"fc1.*\"\n", plain);
  run.after(0);
  const auto fc1 = run.of("fc1.weight"), fc2 = run.of("fc2.weight");
  run.after(20);
  CHECK(same_bits(run.of("fc1.weight"), fc1));
  CHECK_FALSE(at::equal(run.of("fc2.weight"), fc2));
}

TEST_CASE("clipped and signed gradients are as long as they should be") {
  const std::string plain = "optimizer.kind = \"sgd\"\noptimizer.lr = 1\n";
  Steps clipped("kind = \"clip-gradients\"\nnorm = 0.01\n", plain);
  const auto from = clipped.after(3).parameters().clone();
  CHECK(euclidean(clipped.after(4).parameters() - from) == doctest::Approx(0.01).epsilon(1e-5));
  Steps signs("kind = \"sign-gradients\"\n", "optimizer.kind = \"sgd\"\noptimizer.lr = 0.125\n");
  const auto start = signs.after(0).parameters().clone();
  const auto step = (signs.after(1).parameters() - start).abs();
  CHECK((step.sub(0.125).abs().lt(1e-6) | step.eq(0)).all().item<bool>());
  CHECK(step.max().item<double>() > 0.1);
}

/// What an intervention makes of the examples of one step.
std::pair<Drawn, Examples> drawn(const std::string& kind, const Parameters& parameters,
                                 const Dataset& data, std::int64_t step) {
  Condition condition;
  condition.set("seeds.noise", 0);
  condition.set("seeds.shuffle", 0);
  const auto intervention = builtins().interventions.at(kind)(parameters, condition);
  static const Tensor order = at::arange(320).flip(0);
  static const Tensor initial;
  Drawn numbers{order.narrow(0, 100, 64), order, {0, 100, 64}};
  const Instant now = {.step = step, .data = data, .initial = initial};
  intervention->choose(numbers, now);
  auto examples = data.train.gather(numbers.numbers);
  intervention->alter(examples, numbers, now);
  return {numbers, examples};
}

TEST_CASE("interventions on examples") {
  const Declared trial(small_trial());
  const auto& data = trial.data;
  const auto plain = data.train.gather(at::arange(320).flip(0).narrow(0, 100, 64));
  SUBCASE("wrong labels are the same at every step, and as many as told") {
    const Parameters half = {{"fraction", 0.5}, {"seed", 0}};
    const auto first = drawn("label-noise", half, data, 3).second;
    CHECK(at::equal(first.targets, drawn("label-noise", half, data, 4).second.targets));
    const Parameters all = {{"fraction", 1.0}, {"seed", 0}};
    const auto wrong = drawn("label-noise", all, data, 3).second;
    CHECK_FALSE(wrong.targets.eq(plain.targets).any().item<bool>());
    CHECK(wrong.targets.lt(3).all().item<bool>());
    CHECK(at::equal(first.inputs, plain.inputs));
  }
  SUBCASE("noise on inputs is fresh and has the deviation") {
    const Parameters parameters = {{"epsilon", 0.5}, {"seed", 0}};
    const auto a = drawn("input-noise", parameters, data, 3).second.inputs - plain.inputs;
    const auto b = drawn("input-noise", parameters, data, 4).second.inputs - plain.inputs;
    CHECK_FALSE(at::equal(a, b));
    CHECK(a.std().item<double>() == doctest::Approx(0.5).epsilon(0.2));
  }
  SUBCASE("what is left out never comes, and nothing else moves") {
    const Parameters parameters = {{"fraction", 0.25}, {"seed", 0}};
    std::set<std::int64_t> seen;
    for (std::int64_t step = 0; step < 50; ++step) {
      const auto numbers = drawn("subset-examples", parameters, data, step).first.numbers;
      CHECK(numbers.numel() == 64);
      for (std::int64_t i = 0; i < 64; ++i) seen.insert(numbers[i].item<std::int64_t>());
    }
    CHECK(seen.size() == 80);
    const Parameters classes = {{"classes", List{1}}, {"seed", 0}};
    const auto [numbers, examples] = drawn("drop-classes", classes, data, 3);
    CHECK_FALSE(examples.targets.eq(1).any().item<bool>());
    const auto kept = plain.targets.ne(1);
    CHECK(at::equal(examples.targets.masked_select(kept), plain.targets.masked_select(kept)));
    const Parameters everything = {{"classes", List{0, 1, 2}}, {"seed", 0}};
    CHECK_THROWS_AS(drawn("drop-classes", everything, data, 3), Error);
  }
  SUBCASE("another order has the same examples") {
    const auto by_class = drawn("reorder-examples", {{"order", "by-class"}}, data, 3).second;
    CHECK(at::equal(by_class.targets, std::get<0>(by_class.targets.sort())));
    const auto reversed = drawn("reorder-examples", {{"order", "reverse"}}, data, 3).first;
    CHECK(at::equal(reversed.numbers, at::arange(100, 164)));
  }
}

}  // namespace
}  // namespace perturb
