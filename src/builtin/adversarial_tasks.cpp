// Points that a critic should not tell from the data: what a generator or a distribution is fitted
// to. The critic is carried along from step to step (wgan) or drawn anew for each (fit-density).
#include <memory>
#include <vector>

#include <ATen/ATen.h>

#include "builtin/critic.h"
#include "builtin/fits.h"
#include "perturb/core/random.h"
#include "perturb/train/draw.h"
#include "perturb/train/generative.h"
#include "perturb/transport/sliced.h"

namespace perturb {
namespace {

enum class CriticLife {
  Carried,  ///< trained on from step to step
  Fresh,    ///< drawn anew in each
};

class Adversarial final : public Generative {
 public:
  explicit Adversarial(CriticLife life) : life_(life) {}

  std::vector<Model*> start(const Ingredients& ingredients) override {
    const auto models = Generative::start(ingredients);
    const auto& condition = ingredients.condition;
    data_ = &ingredients.data;
    critic_steps_ = condition.integer("task.critic_steps");
    critic_ = std::make_unique<Critic>(critic_options(condition, coordinates()));
    if (life_ == CriticLife::Carried) {
      critic_->draw(static_cast<std::uint64_t>(condition.integer("seeds.init")));
      critic_->carry_in(model());
    } else {
      critic_->to(ingredients.data.train.inputs().device());
    }
    evaluation_seed_ = static_cast<std::uint64_t>(condition.integer("seeds.sample"));
    enter(0, condition);
    return models;
  }

  void enter(std::int64_t step, const Condition& condition) override {
    step_ = static_cast<std::uint64_t>(step);
    noise_seed_ = static_cast<std::uint64_t>(condition.integer("seeds.noise"));
    sample_seed_ = static_cast<std::uint64_t>(condition.integer("seeds.sample"));
  }

  Tensor step(const Examples& batch, Pass& pass) override {
    if (life_ == CriticLife::Fresh) critic_->draw(sample_seed_, step_ + 1);
    const auto each = static_cast<std::uint64_t>(critic_steps_);
    for (std::uint64_t k = 0; k < each; ++k) {
      const auto address = step_ * each + k;
      const auto real = k == 0 ? batch.inputs : others(batch.size(), address);
      Random noise(noise_seed_, "critic/noise", address);
      Random mixing(sample_seed_, "critic/mix", address);
      const auto mix = draw_uniform(mixing, {batch.size()}).to(real.device());
      critic_->update(real.flatten(1), samples(batch.size(), noise), mix);
    }
    Random noise(noise_seed_, "generator/noise", step_);
    const auto loss = -(*critic_)(generated(batch.size(), noise, pass)).mean();
    backward(loss);
    return loss.detach();
  }

  /// How far as many samples are from the examples: as the critic estimates it, or, where no critic
  /// is state, by the sliced distance.
  Scores evaluate(const ExampleSet& examples) override {
    const at::NoGradGuard no_gradients;
    Random noise(evaluation_seed_, "evaluation/noise");
    const auto fake = samples(examples.size(), noise);
    const auto real = examples.range(0, examples.size()).inputs.flatten(1);
    if (life_ == CriticLife::Fresh)
      return {{"loss", transport::sliced_distance({real, {}}, {fake, {}}).item<double>()}};
    return {{"loss", ((*critic_)(real).mean() - (*critic_)(fake).mean()).item<double>()}};
  }

  Tensor potential(const Tensor& points) const override {
    return life_ == CriticLife::Carried ? (*critic_)(points) : Generative::potential(points);
  }

  std::vector<Tensor> critic_weights() const override {
    return life_ == CriticLife::Carried ? critic_->weights() : Generative::critic_weights();
  }

 private:
  Tensor others(std::int64_t count, std::uint64_t address) const {
    Random random(sample_seed_, "critic/examples", address);
    auto numbers = at::empty({count}, at::kLong);
    for (std::int64_t i = 0; i < count; ++i)
      numbers[i] =
          static_cast<std::int64_t>(random.below(static_cast<std::uint64_t>(data_->train.size())));
    return data_->train.gather(numbers.to(data_->train.inputs().device())).inputs;
  }

  CriticLife life_;
  const Dataset* data_ = nullptr;
  std::unique_ptr<Critic> critic_;
  std::int64_t critic_steps_ = 0;
  std::uint64_t step_ = 0;
  std::uint64_t noise_seed_ = 0;
  std::uint64_t sample_seed_ = 0;
  std::uint64_t evaluation_seed_ = 0;  ///< of the whole run: scores depend on the state alone
};

template <CriticLife life>
std::unique_ptr<Task> adversarial(const Condition&) {
  return std::make_unique<Adversarial>(life);
}

}  // namespace

void add_adversarial_tasks(Registries& registries) {
  registries.tasks.add("wgan", adversarial<CriticLife::Carried>);
  registries.tasks.add("fit-density", adversarial<CriticLife::Fresh>);
}

}  // namespace perturb
