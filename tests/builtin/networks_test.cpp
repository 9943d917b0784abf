// Trained networks as a data set.
#include "builtin/networks.h"

#include <memory>

#include "doctest_torch.h"
#include "perturb/core/error.h"
#include "perturb/store/blobs.h"
#include "perturb/train/checkpoint.h"
#include "perturb/train/population.h"
#include "perturb/train/task.h"
#include "perturb/weights/symmetry.h"
#include "temporary_folder.h"
#include "train/declared.h"

namespace perturb {
namespace {

constexpr std::int64_t kCount = 10;

/// Networks with initial weights, which are as good as trained ones; `numbers` are their seeds.
struct World {
  explicit World(const std::string& model = "kind = \"mlp\", hidden = [8, 6]")
      : blobs(folder.path()), learnt(std::make_shared<const Dataset>(data_of(start(model, 0)))) {
    trained.start = start(model, 0);
    for (std::int64_t i = 0; i < kCount; ++i) add(start(model, i));
  }

  static Condition start(const std::string& model, std::int64_t seed) {
    return declared(small_trial().replace(small_trial().find("kind = \"mlp\", hidden = [8]"), 26,
                                          model) +
                    "seeds.init = " + std::to_string(seed) + "\n")
        .trial(0)
        .condition;
  }

  void add(const Condition& condition) {
    const auto task = builtins().tasks.at("classification")(condition);
    const FlatState state(task->start({condition, *learnt, builtins()}), at::kCPU);
    vectors.push_back(state.parameters().detach().clone());
    buffers.push_back(state.buffers().clone());
    const auto bytes = to_safetensors(state, "", 0);
    trained.networks.push_back({sha256(bytes), blobs.put(bytes)});
  }

  /// The condition of who learns from them.
  Condition condition(const std::string& more = "") const {
    Condition out;
    out.set("data.held_out", 0.3);
    out.set("data.split_seed", 0);
    out.set("data.align", more.find("align") != std::string::npos);
    out.set("data.align_to", 2);
    out.set("data.components", more.find("components") != std::string::npos ? 6 : 0);
    return out;
  }

  Dataset load(const std::string& more = "") const {
    return load_networks(trained, condition(more), learnt, builtins(), &blobs);
  }

  TemporaryFolder folder;
  Blobs blobs;
  std::shared_ptr<const Dataset> learnt;
  TrainedNetworks trained;
  std::vector<Tensor> vectors, buffers;
};

TEST_CASE(
    "inputs are the checkpoints' parameters, bit for bit; targets are the networks' numbers") {
  const World world;
  const auto data = world.load();
  CHECK(data.train.size() == 7);
  CHECK(data.test.size() == 3);
  CHECK(data.shape.classes == kCount);
  CHECK(data.shape.input == std::vector<std::int64_t>{world.vectors[0].numel()});
  std::vector<bool> seen(kCount);
  for (const auto* part : {&data.train, &data.test}) {
    for (std::int64_t i = 0; i < part->size(); ++i) {
      const auto number = part->targets()[i].item<std::int64_t>();
      const auto place = static_cast<std::size_t>(number);
      CHECK_FALSE(seen[place]);
      seen[place] = true;
      CHECK(at::equal(part->inputs()[i], world.vectors[place]));
    }
  }
  REQUIRE(data.population);
  CHECK(data.population->data == world.learnt);
  CHECK(at::equal(data.population->as_parameters(data.train.inputs()), data.train.inputs()));
}

TEST_CASE("running statistics are no part of an example, and are kept beside it") {
  const World world("kind = \"mlp\", hidden = [3]");
  const auto data = world.load();
  CHECK(data.population->buffers.sizes() == at::IntArrayRef({kCount, 0}));
}

Tensor outputs_of(const World& world, const Tensor& parameters) {
  const auto task = builtins().tasks.at("classification")(world.trained.start);
  const FlatState state(task->start({world.trained.start, *world.learnt, builtins()}), at::kCPU);
  const at::NoGradGuard no_gradients;
  state.parameters().copy_(parameters);
  auto pass = Pass::evaluation();
  return task->outputs(world.learnt->test.range(0, 50).inputs, pass);
}

TEST_CASE("aligned networks compute what they did, and lie nearer to the one they are aligned to") {
  const World world;
  const auto data = world.load("align");
  double before = 0, after = 0;
  for (std::int64_t i = 0; i < data.train.size(); ++i) {
    const auto number = static_cast<std::size_t>(data.train.targets()[i].item<std::int64_t>());
    const auto aligned = data.train.inputs()[i];
    // Sums over hidden units in another order.
    CHECK(at::allclose(outputs_of(world, aligned), outputs_of(world, world.vectors[number]), 1e-4,
                       1e-5));
    CHECK(std::get<0>(aligned.sort()).equal(std::get<0>(world.vectors[number].sort())));
    after += (aligned - world.vectors[2]).norm().item<double>();
    before += (world.vectors[number] - world.vectors[2]).norm().item<double>();
    if (number == 2) CHECK(at::equal(aligned, world.vectors[2]));
  }
  CHECK(after < 0.99 * before);
}

TEST_CASE("all components of the training networks give them back") {
  const World world;
  const auto data = world.load("components");
  CHECK(data.shape.input == std::vector<std::int64_t>{6});
  CHECK(data.train.inputs().sizes() == at::IntArrayRef({7, 6}));
  const auto back = data.population->as_parameters(data.train.inputs());
  // Seven points span six dimensions; floats leave 1e-6 of values under one.
  CHECK(at::allclose(back, data.population->networks.narrow(0, 0, 7), 1e-4, 1e-5));
}

TEST_CASE("networks that are all the same have no components, which is said") {
  World world;
  for (auto& network : world.trained.networks) network = world.trained.networks.front();
  CHECK_THROWS_WITH_AS(world.load("components"),
                       "the training networks are all the same: they have no principal components",
                       Error);
}

TEST_CASE("what cannot be read, or is of another model, is said") {
  World world;
  world.add(World::start("kind = \"mlp\", hidden = [5]", 0));
  try {
    world.load();
    FAIL("it was read");
  } catch (const Error& error) {
    CHECK(error.code() == ExitCode::Usage);
    CHECK(std::string(error.what()).find("network 10 of the population has") != std::string::npos);
  }
  world.trained.networks.back().blob = sha256("nothing");
  try {
    world.load();
    FAIL("it was read");
  } catch (const Error& error) {
    CHECK(error.code() != ExitCode::Usage);
  }
  world.trained.networks.pop_back();
  CHECK(world.load().train.size() == 7);
}

}  // namespace
}  // namespace perturb
