#include "builtin/network_scores.h"

#include <algorithm>
#include <cstdint>
#include <vector>

#include <ATen/ATen.h>

#include "perturb/train/batches.h"

namespace perturb {
namespace {

/// What a batch's statistics count in the running ones (train/layers.h).
constexpr double kMomentum = 0.1;

}  // namespace

NetworkScores::NetworkScores(const Population& population, const Registries& registries)
    : population_(population),
      task_(registries.tasks.at(population.start.text("task.kind"))(population.start)),
      state_(task_->start({population.start, *population.data, registries}),
             population.data->train.targets().device()) {}

NetworkScores::Score NetworkScores::score(const Tensor& parameters, const Tensor& buffers) {
  const at::NoGradGuard no_gradients;
  state_.parameters().copy_(parameters);
  state_.buffers().copy_(buffers);
  return scored();
}

void NetworkScores::recalibrate(const Tensor& parameters) {
  const at::NoGradGuard no_gradients;
  state_.parameters().copy_(parameters);
  if (state_.buffers().numel() == 0) return;
  const auto found = statistics();
  state_.buffers().copy_(found);
}

Tensor NetworkScores::statistics() {
  const auto& examples = population_.data->train;
  const auto batch_size = population_.start.integer("data.batch_size");
  auto sum = at::zeros_like(state_.buffers(), at::kDouble);
  std::int64_t batches = 0;
  for (std::int64_t begin = 0; begin < examples.size(); begin += batch_size) {
    const auto size = std::min(batch_size, examples.size() - begin);
    // A rest is another number of examples, and one alone has no variance.
    if (size < batch_size && batches > 0) break;
    // From zero, so that what the batch leaves is its own share alone.
    state_.buffers().zero_();
    auto pass = Pass::training(0, batches);
    task_->outputs(examples.range(begin, size).inputs, pass);
    sum += state_.buffers();
    ++batches;
  }
  return sum / (kMomentum * static_cast<double>(batches));
}

NetworkScores::Score NetworkScores::scored() {
  const at::NoGradGuard no_gradients;
  std::vector<Tensor> wrong;
  each_batch(population_.data->test, [&](const Examples& batch) {
    auto pass = Pass::evaluation();
    wrong.push_back(task_->outputs(batch.inputs, pass).argmax(1).ne(batch.targets).cpu());
  });
  Score out;
  out.wrong = at::cat(wrong);
  out.accuracy = 1 - out.wrong.to(at::kDouble).mean().item<double>();
  return out;
}

}  // namespace perturb
