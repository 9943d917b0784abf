// Alignment of whole architectures, the way that `[data] kind = "weights", align = true` does it.
#include "builtin/alignment.h"

#include <cmath>
#include <memory>
#include <string>
#include <vector>

#include "builtin/networks.h"
#include "doctest_torch.h"
#include "perturb/store/blobs.h"
#include "perturb/train/checkpoint.h"
#include "perturb/train/population.h"
#include "perturb/train/task.h"
#include "temporary_folder.h"
#include "train/declared.h"
#include "weights/networks.h"

namespace perturb {
namespace {

Condition condition_of(const std::string& model, std::uint64_t seed) {
  return declared("name = \"aligned\"\ntask.kind = \"classification\"\n" + model +
                  "\ndata.kind = \"gaussian-blobs\"\noptimizer.kind = \"sgd\"\nseeds.init = " +
                  std::to_string(seed) + "\n")
      .trial(0)
      .condition;
}

DataShape images(std::int64_t side) { return {.input = {3, side, side}, .classes = 10}; }

/// A network of its own for every seed, in which nothing is the same for all units: what is would
/// hide that it stayed behind. Training leaves biases, scales and running statistics like that.
struct Network {
  Network(const Condition& condition, const DataShape& shape, std::uint64_t seed)
      : model(builtins().models.at(condition.text("model.kind"))(condition, shape)),
        state({model.get()}, at::kCPU) {
    const at::NoGradGuard no_gradients;
    for (const auto& slice : state.layout()) {
      if (slice.role != Role::Weight)
        slice.of(state.parameters())
            .add_(weights::random_normal(seed, slice.name, slice.shape), 0.1);
    }
    state.buffers().add_(weights::random_normal(seed, "buffers", {state.buffers().numel()}).abs_(),
                         0.5);
  }

  /// All groups, those inside others after them.
  void relabel(std::uint64_t seed) {
    const at::NoGradGuard no_gradients;
    const auto labels = weights::random_relabelling(state.unit_groups(), seed);
    for (const auto& group : state.unit_groups()) {
      for (const auto& axis : group.axes) {
        permute(axis, labels.at(group.name), state.layout(), state.parameters());
        permute(axis, labels.at(group.name), state.buffer_layout(), state.buffers());
      }
    }
  }

  Tensor logits(const Tensor& inputs) const {
    const at::NoGradGuard no_gradients;
    auto pass = Pass::evaluation();
    return model->forward(inputs, pass);
  }

  std::unique_ptr<Model> model;
  FlatState state;

 private:
  static void permute(const UnitGroup::Axis& axis, const Tensor& order,
                      const std::vector<Slice>& layout, const Tensor& vector) {
    for (const auto& slice : layout) {
      if (slice.name == axis.tensor)
        slice.of(vector).copy_(weights::permuted(slice.of(vector), axis, order));
    }
  }
};

/// Of so many networks, how many are found again, bit for bit, from a relabelled copy.
int recovered(const std::string& model, const DataShape& shape, std::uint64_t tries) {
  int found = 0;
  for (std::uint64_t seed = 0; seed < tries; ++seed) {
    Network network(condition_of(model, seed), shape, seed);
    auto& state = network.state;
    const auto parameters = state.parameters().detach().clone();
    const auto buffers = state.buffers().clone();
    const Aligner aligner(state, network.model->attentions(), parameters, buffers);
    network.relabel(seed);
    CHECK_FALSE(at::equal(state.parameters(), parameters));
    aligner.align(state.parameters().detach(), state.buffers());
    // Aligning only moves entries, it never computes one.
    if (at::equal(state.parameters(), parameters) && at::equal(state.buffers(), buffers)) ++found;
  }
  return found;
}

TEST_CASE("a residual network that was relabelled comes back, running statistics and all") {
  CHECK(recovered("model.kind = \"resnet20\"", images(32), 10) == 10);
}

TEST_CASE("a plain network without shortcuts, LeNet and a convolutional network come back") {
  CHECK(recovered("model.kind = \"plainnet20\"", images(32), 3) == 3);
  CHECK(recovered("model.kind = \"lenet5\"", {{1, 28, 28}, 10}, 5) == 5);
  CHECK(recovered("model.kind = \"cnn\"", {{1, 28, 28}, 10}, 5) == 5);
}

TEST_CASE("a vision transformer comes back: heads, rows inside heads, units of its MLPs") {
  CHECK(recovered("model = { kind = \"vit\", width = 48, depth = 3, heads = 4, patch = 8 }",
                  images(32), 10) == 10);
  CHECK(recovered("model.kind = \"vit\"", images(32), 1) == 1);
}

/// A population of networks that were made for these images, and of relabelled ones of the network
/// that the others are aligned to.
struct Trained {
  static constexpr std::int64_t kNetworks = 6;
  static constexpr std::int64_t kRelabelled = 4;
  static constexpr std::int64_t kReference = 2;

  Trained(const std::string& model, std::int64_t side) : blobs(folder.path()) {
    const auto shape = images(side);
    inputs = weights::random_normal(0, "images", {8, 3, side, side});
    const ExampleSet examples(inputs, at::arange(8));
    learnt = std::make_shared<const Dataset>(
        Dataset{.shape = shape, .train = examples, .test = examples});
    trained.start = condition_of(model, 0);
    for (std::int64_t i = 0; i < kNetworks + kRelabelled; ++i) {
      const auto seed = static_cast<std::uint64_t>(i < kNetworks ? i : kReference);
      networks.push_back(std::make_unique<Network>(condition_of(model, seed), shape, seed));
      if (i >= kNetworks) networks.back()->relabel(static_cast<std::uint64_t>(i));
      const auto bytes = to_safetensors(networks.back()->state, "", 0);
      trained.networks.push_back({sha256(bytes), blobs.put(bytes)});
    }
  }

  Dataset aligned() const {
    Condition condition;
    condition.set("data.held_out", 0.2);
    condition.set("data.split_seed", 0);
    condition.set("data.align", true);
    condition.set("data.align_to", kReference);
    condition.set("data.components", 0);
    return load_networks(trained, condition, learnt, builtins(), &blobs);
  }

  void check() const {
    const auto data = aligned();
    const auto reference = networks[kReference]->state.parameters().detach().clone();
    const auto statistics = networks[kReference]->state.buffers().clone();
    const auto& [start, learnt_from, all, buffers, train, components] = *data.population;
    REQUIRE(all.size(0) == kNetworks + kRelabelled);
    const auto numbers = at::cat({data.train.targets(), data.test.targets()});
    for (std::int64_t row = 0; row < all.size(0); ++row) {
      const auto number = numbers[row].item<std::int64_t>();
      CAPTURE(number);
      auto& network = *networks[static_cast<std::size_t>(number)];
      auto& state = network.state;
      const auto logits = network.logits(inputs);
      const auto before = (state.parameters() - reference).norm().item<double>();
      const auto after = (all[row] - reference).norm().item<double>();
      if (number == kReference || number >= kNetworks) {
        CHECK(at::equal(all[row], reference));
        CHECK(at::equal(buffers[row], statistics));
      } else {
        CHECK(after < before);
      }
      const at::NoGradGuard no_gradients;
      state.parameters().copy_(all[row]);
      state.buffers().copy_(buffers[row]);
      // Sums over units in another order, in single precision.
      CHECK((network.logits(inputs) - logits).abs().max().item<double>() < 1e-4);
    }
  }

  TemporaryFolder folder;
  Blobs blobs;
  Tensor inputs;
  std::shared_ptr<const Dataset> learnt;
  TrainedNetworks trained;
  std::vector<std::unique_ptr<Network>> networks;
};

TEST_CASE("aligned transformers compute what they did, and lie nearer to the reference") {
  Trained("model = { kind = \"vit\", width = 48, depth = 3, heads = 4, patch = 8 }", 32).check();
}

TEST_CASE("aligned residual networks compute what they did, and lie nearer to the reference") {
  Trained("model.kind = \"resnet20\"", 32).check();
}

TEST_CASE("a transformer is never moved further away, be the heads alike or not") {
  const auto vit = "model = { kind = \"vit\", width = 12, depth = 1, heads = 3, patch = 8 }";
  const Network reference(condition_of(vit, 0), images(16), 0);
  const auto target = reference.state.parameters().detach().clone();
  const Aligner aligner(reference.state, reference.model->attentions(), target,
                        reference.state.buffers());
  // Of the reference there is more and more in the network: where it lies near already, heads that
  // change places for the sake of their singular values would take it away.
  for (const double share : {0.0, 0.5, 0.9}) {
    for (std::uint64_t seed = 1; seed <= 50; ++seed) {
      CAPTURE(share);
      CAPTURE(seed);
      const Network network(condition_of(vit, seed), images(16), seed);
      const auto moved = at::lerp(network.state.parameters().detach(), target, share);
      const auto before = (moved - target).norm().item<double>();
      aligner.align(moved, network.state.buffers());
      CHECK((moved - target).norm().item<double>() <= before);
    }
  }
}

}  // namespace
}  // namespace perturb
