// Flow matching: the field, what it is trained on, and what it generates.
#include <memory>
#include <string>
#include <vector>

#include "builtin/flow_task.h"
#include "doctest_torch.h"
#include "perturb/train/metric.h"
#include "train/declared.h"

namespace perturb {
namespace {

/// A flow over generated points of the plane, 20 steps an epoch.
std::string flow(const std::string& task) {
  return R"(
    name = "flow"
    model = { kind = "flow", hidden_width = 32, embedding = 8 }
    data = { kind = "gaussian-blobs", examples = 320, test_examples = 100, batch_size = 16, classes = 2 }
    optimizer = { kind = "adam", lr = 0.01 }
    train.epochs = 2
    task = { kind = "flow-matching", )" +
         task + " }\n";
}

std::int64_t parameters_of(std::int64_t width, std::int64_t hidden, std::int64_t embedding) {
  auto condition = declared(flow("source_std = 1.0")).trial(0).condition;
  condition.set("model.hidden_width", hidden);
  condition.set("model.embedding", embedding);
  const auto model = builtins().models.at("flow")(condition, {.input = {width}, .classes = 0});
  std::int64_t count = 0;
  for (const auto& parameter : model->parameters()) count += parameter.tensor.numel();
  return count;
}

TEST_CASE("a flow has as many parameters as DeepWeightFlow says") {
  CHECK(parameters_of(26'506, 512, 64) == 27'471'690);    // the MLP of MNIST
  CHECK(parameters_of(118'282, 512, 64) == 121'542'090);  // of Fashion-MNIST
  CHECK(parameters_of(131, 128, 4) == 51'551);            // of iris
  CHECK(parameters_of(99, 1024, 128) == 1'406'947);       // ResNet-18, 99 components
}

/// The task of a session stands behind its metrics alone.
struct Seen final : Metric {
  double measure(Observation& observed) override {
    task = dynamic_cast<FlowMatching*>(&observed.self().task);
    return 0;
  }
  static inline FlowMatching* task = nullptr;
};

struct Running {
  explicit Running(const std::string& toml, const std::vector<std::string>& overrides = {})
      : declared(toml, 0, overrides), registries(builtins()) {
    registries.metrics.add("seen", [](const Parameters&) { return std::make_unique<Seen>(); });
    declared.assignment.metrics = {
        {.kind = "seen", .parameters = {}, .label = "seen", .every = {}}};
    session = std::make_unique<Session>(declared.assignment, registries, declared.data);
    session->measure({0});
    task = Seen::task;
  }
  Outcome advance(Step until) {
    Progress progress;
    return session->advance(until, progress);
  }

  Declared declared;
  Registries registries;
  std::unique_ptr<Session> session;
  FlowMatching* task = nullptr;
};

TEST_CASE("before training nothing moves: what is generated is the noise that it began in") {
  Running running(flow("source_std = 0.5"));
  const auto still = running.task->generate({.count = 2000, .sampler = "euler", .steps = 3});
  // The standard error of a standard deviation from 4,000 draws is 0.006.
  CHECK(still.std().item<double>() == doctest::Approx(0.5).epsilon(0.05));
  for (const auto* sampler : {"midpoint", "rk4", "adaptive"})
    CHECK(
        at::equal(running.task->generate({.count = 2000, .sampler = sampler, .steps = 3}), still));
  // One after the other: more of them are the same and then others.
  CHECK(at::equal(running.task->generate({.count = 10, .steps = 3}), still.narrow(0, 0, 10)));
  CHECK(at::equal(running.task->generate({.first = 5, .count = 5, .steps = 3}),
                  still.narrow(0, 5, 5)));
}

TEST_CASE("after training, noise goes where the data are") {
  Running running(flow("source_std = 1.0, sigma = 0.0"),
                  {"model.dropout=0.0", "data.separation=3.0", "train.epochs=100"});
  const auto before = running.task->evaluate(running.declared.data.test).at("loss");
  REQUIRE(running.advance(2000) == Outcome::Done);
  CHECK(running.task->evaluate(running.declared.data.test).at("loss") < 0.7 * before);
  const auto points = running.task->generate({.count = 1000, .sampler = "rk4", .steps = 20});
  const auto& data = running.declared.data.train.inputs();
  CAPTURE(points.std(0));
  CAPTURE(data.std(0));
  // Two clouds of width 1 whose centres lie up to 6 apart.
  CHECK(at::allclose(points.mean(0), data.mean(0), 0, 0.5));
  CHECK(at::allclose(points.std(0), data.std(0), 0.25, 0));
}

TEST_CASE("what is drawn in a step follows from the step: stopped and resumed, the same bits") {
  for (const std::string task :
       {"ema = 0.9", "fixed_noise = true", "coupling = \"optimal-transport\", times = \"beta\""}) {
    CAPTURE(task);
    Running whole(flow(task)), first(flow(task)), second(flow(task));
    REQUIRE(whole.advance(30) == Outcome::Done);
    REQUIRE(first.advance(13) == Outcome::Done);
    second.declared.assignment.begin = 13;
    second.session->restore(first.session->state().snapshot());
    REQUIRE(second.advance(30) == Outcome::Done);
    CHECK(at::equal(whole.session->state().parameters(), second.session->state().parameters()));
    CHECK(at::equal(whole.session->state().buffers(), second.session->state().buffers()));
  }
}

TEST_CASE("every option of the task changes what is learnt") {
  const auto learnt = [](const std::string& task) {
    Running running(flow(task));
    running.advance(10);
    return running.session->state().parameters().detach().clone();
  };
  const auto plain = learnt("sigma = 0.001");
  for (const auto* task :
       {"sigma = 0.1", "source_std = 0.1", "times = \"beta\"",
        "coupling = \"optimal-transport\", source_std = 1.0", "fixed_noise = true"}) {
    CAPTURE(task);
    CHECK_FALSE(at::equal(learnt(task), plain));
  }
  // What is generated with it is another matter.
  CHECK(at::equal(learnt("ema = 0.9"), plain));
}

TEST_CASE("the average follows the parameters a step behind, and is what generates") {
  Running running(flow("ema = 0.75"));
  auto average = running.session->state().parameters().detach().clone();
  for (Step step = 1; step <= 5; ++step) {
    average.lerp_(running.session->state().parameters().detach(), 0.25);
    running.advance(step);
    CHECK(at::allclose(running.session->state().buffers(), average, 1e-6, 1e-7));
  }
  const auto parameters = running.session->state().parameters().detach().clone();
  const auto generated = running.task->generate({.count = 4});
  CHECK(at::equal(parameters, running.session->state().parameters()));
  {
    const at::NoGradGuard no_gradients;
    running.session->state().parameters().copy_(running.session->state().buffers());
  }
  CHECK(at::equal(running.task->generate({.count = 4}), generated));
}

TEST_CASE("fixed noise belongs to an example: whatever the order, the pairs are the same") {
  Running running(flow("fixed_noise = true, sigma = 0.0"));
  const auto& train = running.declared.data.train;
  CHECK(train.size() == 320);
  auto pass = Pass::evaluation();
  const auto batch = train.range(0, 8);
  const auto once = running.task->loss(batch, pass).item<double>();
  CHECK(running.task->loss(batch, pass).item<double>() == once);
}

TEST_CASE("images and other models are refused") {
  const auto wrong = [](const std::string& toml) -> std::string {
    const Declared trial(toml);
    return trial.carry_out().message;
  };
  auto toml = flow("sigma = 0.0");
  toml.replace(toml.find("kind = \"flow\", hidden_width = 32, embedding = 8"), 47,
               "kind = \"mlp\"");
  CHECK(wrong(toml).find("flow matching trains a field") != std::string::npos);
}

}  // namespace
}  // namespace perturb
