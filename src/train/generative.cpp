#include "perturb/train/generative.h"

#include <ATen/ATen.h>

#include "perturb/core/error.h"
#include "perturb/train/draw.h"
#include "perturb/train/registries.h"

namespace perturb {

std::vector<Model*> Generative::start(const Ingredients& ingredients) {
  const auto& [condition, data, registries] = ingredients;
  noise_ = condition.integer("task.noise");
  coordinates_ = 1;
  for (const auto extent : data.shape.input) coordinates_ *= extent;
  const DataShape rows = {.input = {noise_}, .classes = coordinates_};
  model_ = registries.models.at(condition.text("model.kind"))(condition, rows);
  device_ = data.train.inputs().device();
  return {model_.get()};
}

Tensor Generative::generated(std::int64_t count, Random& random, Pass& pass) {
  const auto noise = draw_normal(random, {count, noise_}).to(device_);
  const auto points = model_->forward(noise, pass);
  if (points.dim() != 2 || points.size(0) != count || points.size(1) != coordinates_)
    throw Error(ExitCode::Usage, "the model does not make points of noise",
                "model.kind = \"generator\" does, and so does \"mlp\"");
  return points;
}

Tensor Generative::samples(std::int64_t count, Random& random) {
  const at::NoGradGuard no_gradients;
  auto pass = Pass::evaluation();
  return generated(count, random, pass);
}

void Generative::backward(const Tensor& loss) {
  std::vector<Tensor> leaves;
  for (const auto& parameter : model_->parameters()) leaves.push_back(parameter.tensor);
  loss.backward(/*gradient=*/{}, /*retain_graph=*/{}, /*create_graph=*/false,
                at::TensorList(leaves));
}

Tensor Generative::potential(const Tensor&) const {
  throw Error(ExitCode::Bug, "the task carries no critic along");
}

std::vector<Tensor> Generative::critic_weights() const {
  throw Error(ExitCode::Bug, "the task carries no critic along");
}

Generative& generative(Task& task) {
  if (auto* found = dynamic_cast<Generative*>(&task)) return *found;
  throw Error(ExitCode::Usage, "the task's model makes no samples");
}

}  // namespace perturb
