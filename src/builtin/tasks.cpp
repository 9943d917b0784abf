#include <ATen/ATen.h>
#include <c10/core/InferenceMode.h>

#include "builtin/batches.h"
#include "builtin/builtins.h"
#include "perturb/train/task.h"

namespace perturb {
namespace {

/// Cross entropy between the softmax of the outputs and the class.
class Classification final : public Task {
 public:
  std::vector<Model*> start(const Ingredients& ingredients) override {
    const auto& [condition, data, registries] = ingredients;
    model_ = registries.models.at(condition.text("model.kind"))(condition, data.shape);
    return {model_.get()};
  }

  Tensor step(const Examples& batch, Pass& pass) override {
    const auto loss = this->loss(batch, pass);
    loss.backward();
    return loss.detach();
  }

  Tensor loss(const Examples& batch, Pass& pass) override {
    return at::cross_entropy_loss(model_->forward(batch.inputs, pass), batch.targets);
  }

  Tensor outputs(const Tensor& inputs, Pass& pass) override {
    return model_->forward(inputs, pass);
  }

  Scores evaluate(const ExampleSet& examples) override {
    const c10::InferenceMode no_history;
    double loss = 0;
    std::int64_t correct = 0;
    each_batch(examples, [&](const Examples& batch) {
      auto pass = Pass::evaluation();
      const auto outputs = model_->forward(batch.inputs, pass);
      const auto losses = at::cross_entropy_loss(outputs, batch.targets, {}, at::Reduction::None);
      loss += losses.sum(at::kDouble).item<double>();
      correct += outputs.argmax(1).eq(batch.targets).sum().item<std::int64_t>();
    });
    const auto n = static_cast<double>(examples.size());
    return {{"loss", loss / n}, {"accuracy", static_cast<double>(correct) / n}};
  }

 private:
  std::unique_ptr<Model> model_;
};

}  // namespace

void add_tasks(Registries& registries) {
  registries.tasks.add("classification",
                       [](const Condition&) { return std::make_unique<Classification>(); });
}

}  // namespace perturb
