#include "perturb/train/supervised.h"

#include <ATen/ATen.h>
#include <c10/core/InferenceMode.h>

#include "perturb/train/batches.h"
#include "perturb/train/quick.h"
#include "perturb/train/registries.h"

namespace perturb {

std::vector<Feature> Supervised::features() {
  return {Feature::Weights, Feature::Gradients, Feature::Activations, Feature::Examples,
          Feature::Labels,  Feature::Loss,      Feature::Predictions};
}

std::vector<Model*> Supervised::start(const Ingredients& ingredients) {
  const auto& [condition, data, registries] = ingredients;
  model_ = registries.models.at(condition.text("model.kind"))(condition, data.shape);
  quick_ = dynamic_cast<Quick*>(model_.get());
  return {model_.get()};
}

Tensor Supervised::step(const Examples& batch, Pass& pass) {
  if (quick_ && !pass.is_watched()) {
    if (const auto outputs = quick_->quick_forward(batch.inputs); outputs.defined()) {
      const auto [loss, slopes] = sloped(outputs, batch.targets);
      quick_->quick_backward(slopes);
      return loss;
    }
  }
  const auto loss = this->loss(batch, pass);
  loss.backward();
  return loss.detach();
}

Tensor Supervised::loss(const Examples& batch, Pass& pass) {
  return mean_loss(outputs(batch.inputs, pass), batch.targets);
}

Tensor Supervised::mean_loss(const Tensor& outputs, const Tensor& targets) {
  return losses(outputs, targets).mean();
}

Supervised::Sloped Supervised::sloped(const Tensor& outputs, const Tensor& targets) {
  const auto leaf = outputs.detach().requires_grad_();
  const auto loss = mean_loss(leaf, targets);
  loss.backward();
  return {loss.detach(), leaf.grad()};
}

Tensor Supervised::outputs(const Tensor& inputs, Pass& pass) {
  return model_->forward(inputs, pass);
}

Scores Supervised::evaluate(const ExampleSet& examples) {
  const c10::InferenceMode no_history;
  double loss = 0;
  std::int64_t correct = 0;
  each_batch(examples, [&](const Examples& batch) {
    auto pass = Pass::evaluation();
    const auto outputs = this->outputs(batch.inputs, pass);
    loss += losses(outputs, batch.targets).sum(at::kDouble).item<double>();
    correct += outputs.argmax(1).eq(batch.targets).sum().item<std::int64_t>();
  });
  const auto n = static_cast<double>(examples.size());
  return {{"loss", loss / n}, {"accuracy", static_cast<double>(correct) / n}};
}

}  // namespace perturb
