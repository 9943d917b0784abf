// Networks that nobody trained, held against those that were.
#include <memory>
#include <string>

#include "builtin/flow_task.h"
#include "builtin/generated_network.h"
#include "builtin/network_scores.h"
#include "builtin/networks.h"
#include "doctest_torch.h"
#include "perturb/store/blobs.h"
#include "perturb/train/checkpoint.h"
#include "perturb/train/population.h"
#include "perturb/train/task.h"
#include "temporary_folder.h"
#include "train/declared.h"

namespace perturb {
namespace {

/// Ten small networks, each trained for an epoch, and a flow that has yet to learn from them.
struct World {
  explicit World(std::int64_t components = 0) : blobs(folder.path()) {
    for (int i = 0; i < 10; ++i) {
      Declared trial(small_trial("seeds.init = " + std::to_string(i) + "\n"));
      Session session(trial.assignment, builtins(), trial.data);
      Progress progress;
      session.advance(20, progress);
      const auto bytes = to_safetensors(session.state(), "sgd", 20);
      trained.networks.push_back({sha256(bytes), blobs.put(bytes)});
      trained.start = trial.assignment.trial.condition;
      learnt = std::make_shared<const Dataset>(trial.data);
    }
    Condition condition;
    condition.set("data.held_out", 0.2);
    condition.set("data.split_seed", 0);
    condition.set("data.align", false);
    condition.set("data.align_to", 0);
    condition.set("data.components", components);
    data = load_networks(trained, condition, learnt, builtins(), &blobs);
  }

  /// Of the flow.
  static Assignment assignment(const std::string& more = "") {
    return declared(R"(
      name = "flow"
      task = { kind = "flow-matching", source_std = 0.01 }
      model = { kind = "flow", hidden_width = 16, embedding = 4 }
      data = { kind = "gaussian-blobs", examples = 8, test_examples = 2, batch_size = 4 }
      optimizer = { kind = "adamw" }
)" + more)
        .assignment(0);
  }

  double measure(const std::string& kind, const std::string& of,
                 const std::string& value = "mean") {
    const auto metric = "[[metrics]]\nkind = \"" + kind + "\"\nof = \"" + of +
                        "\"\nnetworks = 12\n" +
                        (kind == "network-accuracy" ? "value = \"" + value + "\"\n" : "");
    const auto assignment = World::assignment(metric);
    Session session(assignment, builtins(), data);
    return session.measure({0}).front();
  }

  TemporaryFolder folder;
  Blobs blobs;
  TrainedNetworks trained;
  std::shared_ptr<const Dataset> learnt;
  Dataset data;
};

/// Accuracy as the networks' own task scores it.
double accuracy_of(const World& world, std::int64_t row) {
  const auto task = builtins().tasks.at("classification")(world.trained.start);
  const FlatState state(task->start({world.trained.start, *world.learnt, builtins()}), at::kCPU);
  const at::NoGradGuard no_gradients;
  state.parameters().copy_(world.data.population->networks[row]);
  return task->evaluate(world.learnt->test).at("accuracy");
}

TEST_CASE("originals are scored as their own task scores them, the training networks alone") {
  World world;
  double sum = 0;
  double least = 1;
  for (std::int64_t row = 0; row < 8; ++row) {
    sum += accuracy_of(world, row);
    least = std::min(least, accuracy_of(world, row));
  }
  CHECK(world.measure("network-accuracy", "originals") == doctest::Approx(sum / 8));
  CHECK(world.measure("network-accuracy", "originals", "min") == doctest::Approx(least));
  CHECK(world.measure("network-accuracy", "held-out", "max") ==
        doctest::Approx(std::max(accuracy_of(world, 8), accuracy_of(world, 9))));
}

TEST_CASE("originals are as large and as new as originals") {
  World world;
  CHECK(world.measure("rms-ratio", "originals") == doctest::Approx(1));
  CHECK(world.measure("novelty", "originals") == doctest::Approx(1));
  const auto overlap = world.measure("error-overlap", "originals");
  CHECK(overlap >= 0);
  CHECK(overlap < 1);
}

TEST_CASE("a little noise copies, much noise does not; averages are smaller") {
  World world;
  CHECK(world.measure("network-accuracy", "noisy-1e-4") ==
        doctest::Approx(world.measure("network-accuracy", "originals")).epsilon(0.05));
  // 1e-4 in each of some fifty coordinates, against distances of some units.
  CHECK(world.measure("novelty", "noisy-1e-4") < 0.01);
  CHECK(world.measure("novelty", "noisy-1e-1") > 10 * world.measure("novelty", "noisy-1e-3"));
  CHECK(world.measure("rms-ratio", "pairs") < 1);
  CHECK(world.measure("rms-ratio", "average") < world.measure("rms-ratio", "pairs"));
  CHECK(world.measure("network-accuracy", "average", "sd") == 0);
  CHECK(world.measure("rms-ratio", "gaussian") == doctest::Approx(1).epsilon(0.15));
}

TEST_CASE("what an untrained flow generates is its noise: small, far away, and no good") {
  World world;
  const auto size = world.data.population->networks.narrow(0, 0, 8).square().mean().sqrt();
  CHECK(world.measure("rms-ratio", "generated") ==
        doctest::Approx(0.01 / size.item<double>()).epsilon(0.1));
  CHECK(world.measure("network-accuracy", "generated") <
        world.measure("network-accuracy", "originals"));
}

TEST_CASE("running statistics are the averages over batches of training examples") {
  // Images of noise, and a network with normalisation layers.
  Random random(0, "images");
  std::vector<float> pixels(40 * 64);
  random.fill_uniform(pixels);
  const auto images = at::tensor(pixels).view({40, 1, 8, 8});
  const auto labels = at::arange(40, at::kLong).remainder(2);
  auto start = declared(R"(
    name = "normalised"
    model = { kind = "resnet20" }
    data = { kind = "gaussian-blobs" }
    optimizer = { kind = "sgd" }
  )")
                   .trial(0)
                   .condition;
  start.set("data.batch_size", 16);
  Population population{.start = start,
                        .data = std::make_shared<const Dataset>(
                            Dataset{.shape = {.input = {1, 8, 8}, .classes = 2},
                                    .train = {images, labels},
                                    .test = {images.narrow(0, 0, 4), labels.narrow(0, 0, 4)}}),
                        .networks = {},
                        .buffers = {},
                        .components = {}};
  const auto task = builtins().tasks.at("classification")(start);
  const FlatState state(task->start({start, *population.data, builtins()}), at::kCPU);
  NetworkScores scores(population, builtins());
  scores.score(state.parameters(), state.buffers() + 7);
  scores.recalibrated(state.parameters());
  const at::NoGradGuard no_gradients;
  const auto& weight = state.layout().front();
  REQUIRE(weight.name == "conv1.weight");
  const auto& mean = state.buffer_layout().front();
  REQUIRE(mean.name == "bn1.running_mean");
  // Two whole batches; the rest of eight is left out.
  auto expected = at::zeros({16});
  for (int batch = 0; batch < 2; ++batch)
    expected +=
        at::conv2d(images.narrow(0, 16 * batch, 16), weight.of(state.parameters()), {}, 1, 1)
            .mean({0, 2, 3}) /
        2;
  CHECK(at::allclose(mean.of(scores.state().buffers()), expected, 1e-4, 1e-6));
}

TEST_CASE("a generated network, by itself, is what the flow generates among others") {
  for (const std::int64_t components : {0, 5}) {
    CAPTURE(components);
    const World world(components);
    const auto assignment = World::assignment();
    Session session(assignment, builtins(), world.data);
    Progress progress;
    session.advance(20, progress);
    Ancestor from;
    from.blob = world.blobs.put(to_safetensors(session.state(), session.optimizer(), 20));
    from.start = assignment.trial.start();
    from.generated = 3;
    from.learnt_from = world.trained;
    const auto network = [&](std::int64_t number) {
      from.generated = number;
      return generated_network(from, world.data, builtins(), &world.blobs);
    };
    CHECK(network(3) == network(3));
    CHECK(network(3) != network(4));

    const auto flow = builtins().tasks.at("flow-matching")(from.start);
    FlatState state(flow->start({from.start, world.data, builtins()}), at::kCPU);
    state.restore(session.state().snapshot());
    const auto all = dynamic_cast<FlowMatching&>(*flow).generate({.count = 6});
    const auto wanted = world.data.population->as_parameters(all)[3];

    const auto task = builtins().tasks.at("classification")(world.trained.start);
    FlatState begun(task->start({world.trained.start, *world.learnt, builtins()}), at::kCPU);
    begin_with(network(3), begun);
    CHECK(begun.parameters().numel() == wanted.numel());
    CHECK(at::allclose(begun.parameters(), wanted, 1e-4, 1e-6));
    CHECK((begun.parameters() - world.data.population->networks[0]).norm().item<double>() > 0.01);
  }
}

}  // namespace
}  // namespace perturb
