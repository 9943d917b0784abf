// The samples of a generator moved toward a target that is given, or that is made of evidence.
#include <algorithm>
#include <memory>
#include <optional>
#include <vector>

#include <ATen/ATen.h>

#include "builtin/critic.h"
#include "builtin/fits.h"
#include "builtin/virtual_target.h"
#include "perturb/core/random.h"
#include "perturb/train/draw.h"
#include "perturb/train/generative.h"
#include "perturb/transport/congested.h"
#include "perturb/transport/density.h"
#include "perturb/transport/divergence.h"

namespace perturb {
namespace {

class Transport final : public Generative {
 public:
  explicit Transport(const Condition& condition)
      : samples_(condition.integer("task.samples")),
        divergence_weight_(condition.number("task.divergence_weight")),
        map_weight_(condition.number("task.map_weight")),
        spread_weight_(condition.number("task.spread_weight")),
        ridge_(condition.number("task.ridge")),
        target_weight_(condition.number("task.target_weight")),
        evidence_weight_(condition.number("task.evidence_weight")),
        congestion_(condition.flag("task.congestion")),
        critic_steps_(condition.integer("task.critic_steps")),
        penalty_(condition.number("task.penalty")),
        bound_(condition.number("task.traffic_bound")),
        bandwidth_(condition.number("task.traffic_bandwidth")) {
    options_.blur = condition.number("task.blur");
    options_.max_iterations = static_cast<int>(condition.integer("task.iterations"));
  }

  std::vector<Model*> start(const Ingredients& ingredients) override {
    const auto models = Generative::start(ingredients);
    const auto& [condition, data, registries] = ingredients;
    auto options = critic_options(condition, coordinates());
    options.steepness = Steepness::OneSided;
    // Carried whether it is used or not, so that one state serves the plain variant, too.
    critic_ = std::make_unique<Critic>(options);
    critic_->draw(static_cast<std::uint64_t>(condition.integer("seeds.init")));
    critic_->carry_in(model());
    if (condition.text("task.target") != "data")
      virtual_.emplace(condition, data.train, data.shape.classes);
    evaluation_seed_ = static_cast<std::uint64_t>(condition.integer("seeds.sample"));
    enter(0, condition);
    return models;
  }

  void enter(std::int64_t step, const Condition& condition) override {
    step_ = step;
    noise_seed_ = static_cast<std::uint64_t>(condition.integer("seeds.noise"));
    sample_seed_ = static_cast<std::uint64_t>(condition.integer("seeds.sample"));
  }

  Tensor step(const Examples& batch, Pass& pass) override {
    const auto address = static_cast<std::uint64_t>(step_);
    Random noise(noise_seed_, "generator/noise", address);
    const auto points = generated(samples_, noise, pass);
    auto target = batch.inputs.flatten(1);
    auto loss = at::zeros({}, points.options());
    if (virtual_) {
      loss = loss + evidence_weight_ * toward_evidence(points, batch);
      Random random(sample_seed_, "virtual-target", address);
      target = virtual_->draw(random, step_).to(points.device());
    }
    loss = loss + target_weight_ * toward(points, target);
    if (spread_weight_ > 0) loss = loss - spread_weight_ * spread(points);
    backward(loss);
    if (congestion_) yield_to_traffic(points.detach(), target);
    return loss.detach();
  }

  /// The divergence of as many samples from the examples.
  Scores evaluate(const ExampleSet& examples) override {
    const at::NoGradGuard no_gradients;
    Random noise(evaluation_seed_, "evaluation/noise");
    const auto points = samples(examples.size(), noise);
    const auto others = examples.range(0, examples.size()).inputs.flatten(1);
    const auto found = transport::sinkhorn_divergence({points, {}}, {others, {}}, options_);
    return {{"loss", found.value.item<double>()}};
  }

  Tensor potential(const Tensor& points) const override { return (*critic_)(points); }
  std::vector<Tensor> critic_weights() const override { return critic_->weights(); }

 private:
  Tensor toward(const Tensor& points, const Tensor& target) const {
    auto loss = at::zeros({}, points.options());
    if (divergence_weight_ > 0) {
      const auto found = transport::sinkhorn_divergence({points, {}}, {target, {}}, options_);
      loss = loss + divergence_weight_ * found.value;
    }
    if (map_weight_ > 0) {
      const auto images = transport::entropic_map({points.detach(), {}}, {target, {}}, options_);
      loss = loss + map_weight_ * (points - images).square().sum(1).mean();
    }
    return loss;
  }

  /// Domains by their shares; one that the batch has no point of counts nothing.
  Tensor toward_evidence(const Tensor& points, const Examples& batch) const {
    auto loss = at::zeros({}, points.options());
    const auto inputs = batch.inputs.flatten(1);
    for (std::size_t i = 0; i < virtual_->shares().size(); ++i) {
      const auto rows = batch.targets.eq(static_cast<std::int64_t>(i)).nonzero().flatten();
      const double share = virtual_->shares()[i];
      if (rows.numel() > 0 && share > 0)
        loss = loss + share * toward(points, inputs.index_select(0, rows));
    }
    return loss;
  }

  /// log det(cov + ridge I).
  Tensor spread(const Tensor& points) const {
    const auto centred = points - points.mean(0, /*keepdim=*/true);
    const auto covariance = centred.t().matmul(centred) / static_cast<double>(points.size(0) - 1);
    return at::logdet(covariance + ridge_ * at::eye(points.size(1), points.options()));
  }

  /// Trains the critic on, and shrinks the gradient where samples are congested.
  void yield_to_traffic(const Tensor& points, const Tensor& target) {
    const auto each = static_cast<std::uint64_t>(critic_steps_);
    for (std::uint64_t k = 0; k < each; ++k) {
      const auto address = static_cast<std::uint64_t>(step_) * each + k;
      Random mixing(sample_seed_, "critic/mix", address);
      Random pairing(sample_seed_, "critic/pairs", address);
      const auto count = std::min(points.size(0), target.size(0));
      const auto some = [&](const Tensor& all) {
        return all.index_select(
            0, draw_order(pairing, all.size(0)).narrow(0, 0, count).to(all.device()));
      };
      const auto real = some(target), fake = some(points);
      critic_->update(real, fake, draw_uniform(mixing, {count}).to(points.device()));
    }
    const auto steepness = row_norms(critic_->gradient(points));
    const auto density = transport::leave_one_out_density(points, bandwidth_);
    const double intensity = transport::congestion_intensity(
                                 steepness, density, transport::Congestion::of_penalty(penalty_))
                                 .mean()
                                 .item<double>();
    if (intensity <= bound_) return;
    const at::NoGradGuard no_gradients;
    for (const auto& parameter : model().parameters())
      parameter.tensor.mutable_grad().mul_(bound_ / intensity);
  }

  std::int64_t samples_;
  transport::DivergenceOptions options_;
  double divergence_weight_, map_weight_, spread_weight_, ridge_;
  double target_weight_, evidence_weight_;
  bool congestion_;
  std::int64_t critic_steps_;
  double penalty_, bound_, bandwidth_;
  std::unique_ptr<Critic> critic_;
  std::optional<VirtualTarget> virtual_;
  std::int64_t step_ = 0;
  std::uint64_t noise_seed_ = 0;
  std::uint64_t sample_seed_ = 0;
  std::uint64_t evaluation_seed_ = 0;  ///< of the whole run: scores depend on the state alone
};

}  // namespace

void add_transport_task(Registries& registries) {
  registries.tasks.add("transport", [](const Condition& condition) {
    return std::make_unique<Transport>(condition);
  });
}

}  // namespace perturb
