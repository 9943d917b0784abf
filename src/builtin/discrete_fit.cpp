// A distribution over bins fitted to a histogram by a distance between the two.
#include <memory>

#include <ATen/ATen.h>

#include "builtin/fits.h"
#include "perturb/core/error.h"
#include "perturb/train/batches.h"
#include "perturb/train/task.h"
#include "perturb/transport/line.h"

namespace perturb {
namespace {

/// KL(p || q) = sum_k p_k log(p_k / q_k), in nats; a bin without p counts nothing.
Tensor divergence(const Tensor& p, const Tensor& q) {
  const auto there = p > 0;
  const auto one = at::ones_like(p);
  const auto ratio = at::where(there, p, one) / at::where(there, q, one);
  return at::where(there, p * ratio.log(), at::zeros_like(p)).sum();
}

using Distance = Tensor (*)(const Tensor& data, const Tensor& model);

Distance distance(const std::string& name) {
  if (name == "wasserstein-mean") return transport::mean_histogram_distance;
  if (name == "wasserstein") return transport::histogram_distance;
  if (name == "kl") return divergence;
  if (name == "reverse-kl")
    return [](const Tensor& p, const Tensor& q) { return divergence(q, p); };
  if (name == "mean-kl")
    return
        [](const Tensor& p, const Tensor& q) { return (divergence(p, q) + divergence(q, p)) / 2; };
  throw Error(ExitCode::Bug, "there is no distance " + name);
}

class DiscreteFit final : public Task {
 public:
  explicit DiscreteFit(const Condition& condition)
      : distance_(distance(condition.text("task.distance"))),
        margin_(condition.number("task.margin")) {}

  std::vector<Model*> start(const Ingredients& ingredients) override {
    const auto& [condition, data, registries] = ingredients;
    const auto& kind = condition.text("model.kind");
    const auto bins = data.shape.input.back();
    if (data.shape.input.size() != 1)
      throw Error(ExitCode::Usage, "fit-discrete needs a histogram, which the examples of " +
                                       condition.text("data.kind") + " are not");
    model_ = registries.models.at(kind)(condition, {.input = {bins}, .classes = bins});
    const at::NoGradGuard no_gradients;
    auto pass = Pass::evaluation();
    const auto masses = model_->forward(data.train.inputs().narrow(0, 0, 1), pass);
    if ((masses < 0).any().item<bool>() || masses.sum().item<double>() > 1 + 1e-6)
      throw Error(ExitCode::Usage,
                  "fit-discrete needs a model that gives masses, and \"" + kind + "\" does not",
                  "model.kind = \"binomial\" does");
    return {model_.get()};
  }

  Tensor step(const Examples& batch, Pass& pass) override {
    {
      const at::NoGradGuard no_gradients;
      for (const auto& parameter : model_->parameters())
        parameter.tensor.clamp_(margin_, 1 - margin_);
    }
    const auto loss = this->loss(batch, pass);
    loss.backward();
    return loss.detach();
  }

  Tensor loss(const Examples& batch, Pass& pass) override {
    const auto masses = model_->forward(batch.inputs, pass).to(at::kDouble);
    auto sum = at::zeros({}, masses.options());
    for (std::int64_t i = 0; i < batch.size(); ++i)
      sum = sum + distance_(batch.inputs[i].to(at::kDouble), masses[i]);
    return (sum / static_cast<double>(batch.size())).to(at::kFloat);
  }

  Scores evaluate(const ExampleSet& examples) override {
    const at::NoGradGuard no_gradients;
    double sum = 0;
    each_batch(examples, [&](const Examples& batch) {
      auto pass = Pass::evaluation();
      sum += loss(batch, pass).item<double>() * static_cast<double>(batch.size());
    });
    return {{"loss", sum / static_cast<double>(examples.size())}};
  }

 private:
  Distance distance_;
  double margin_;
  std::unique_ptr<Model> model_;
};

}  // namespace

void add_discrete_fit(Registries& registries) {
  registries.tasks.add("fit-discrete", [](const Condition& condition) {
    return std::make_unique<DiscreteFit>(condition);
  });
}

}  // namespace perturb
