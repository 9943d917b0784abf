#include "builtin/networks.h"

#include <optional>
#include <string>
#include <utility>
#include <vector>

#include <ATen/ATen.h>

#include "builtin/alignment.h"
#include "perturb/catalog/split.h"
#include "perturb/core/error.h"
#include "perturb/train/checkpoint.h"
#include "perturb/train/population.h"
#include "perturb/train/task.h"

namespace perturb {
namespace {

/// The number of the network that the others are aligned to.
std::int64_t reference_of(const Condition& condition, std::int64_t networks) {
  const auto number = condition.integer("data.align_to");
  if (number < networks) return number;
  throw Error(ExitCode::Usage,
              "align_to = " + std::to_string(number) + ", and there are " +
                  std::to_string(networks) + " networks",
              "networks are counted from 0");
}

void read(const TrainedNetworks& trained, std::int64_t number, const Blobs* blobs,
          FlatState& state) {
  const auto& blob = trained.networks[static_cast<std::size_t>(number)].blob;
  if (!blob || !blobs)
    throw Error(ExitCode::Store, "a network to learn from is not there any more");
  const auto bytes = blobs->get(*blob);
  try {
    begin_with(bytes, state);
  } catch (const Error& error) {
    if (error.code() != ExitCode::Usage) throw;
    throw Error(ExitCode::Usage,
                "network " + std::to_string(number) + " of the population " + error.what(),
                "networks of one data set need the same [model]");
  }
}

}  // namespace

Dataset load_networks(const TrainedNetworks& trained, const Condition& condition,
                      std::shared_ptr<const Dataset> learnt, const Registries& registries,
                      const Blobs* blobs) {
  const at::NoGradGuard no_gradients;
  const auto task = registries.tasks.at(trained.start.text("task.kind"))(trained.start);
  const auto models = task->start({trained.start, *learnt, registries});
  FlatState state(models, at::kCPU);

  const auto count = static_cast<std::int64_t>(trained.networks.size());
  const auto split = split_rows(count, condition.number("data.held_out"),
                                static_cast<std::uint64_t>(condition.integer("data.split_seed")));
  auto numbers = split.train;
  numbers.insert(numbers.end(), split.test.begin(), split.test.end());

  auto networks = at::empty({count, state.parameters().numel()}, at::kFloat);
  auto buffers = at::empty({count, state.buffers().numel()}, at::kFloat);
  std::optional<Aligner> aligner;
  if (condition.flag("data.align")) {
    read(trained, reference_of(condition, count), blobs, state);
    std::vector<weights::Attention> attentions;
    for (const auto* model : models)
      attentions.insert(attentions.end(), model->attentions().begin(), model->attentions().end());
    aligner.emplace(state, std::move(attentions), state.parameters(), state.buffers());
  }
  for (std::int64_t row = 0; row < count; ++row) {
    read(trained, numbers[static_cast<std::size_t>(row)], blobs, state);
    networks[row].copy_(state.parameters());
    buffers[row].copy_(state.buffers());
    if (aligner) aligner->align(networks[row], buffers[row]);
  }

  const auto train = static_cast<std::int64_t>(split.train.size());
  auto population = std::make_shared<Population>(Population{.start = trained.start,
                                                            .data = std::move(learnt),
                                                            .networks = networks,
                                                            .buffers = buffers,
                                                            .train = train,
                                                            .components = {}});
  auto inputs = networks;
  if (const auto components = condition.integer("data.components"); components > 0) {
    // Of the training networks alone: the others must stay unseen.
    population->components = weights::pca(networks.narrow(0, 0, train), components);
    inputs = population->components->project(networks);
    if (inputs.size(1) == 0)
      throw Error(ExitCode::Usage,
                  "the training networks are all the same: they have no principal components",
                  "networks differ by their seeds: init, shuffle");
  }
  const auto targets = at::tensor(numbers, at::kLong);
  return {.shape = {.input = {inputs.size(1)}, .classes = count},
          .train = {inputs.narrow(0, 0, train), targets.narrow(0, 0, train)},
          .test = {inputs.narrow(0, train, count - train), targets.narrow(0, train, count - train)},
          .population = std::move(population)};
}

}  // namespace perturb
