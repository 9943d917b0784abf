#include "builtin/flow_task.h"

#include <utility>

#include <ATen/ATen.h>

#include "perturb/core/error.h"
#include "perturb/core/random.h"
#include "perturb/train/batches.h"
#include "perturb/train/draw.h"
#include "perturb/weights/ode.h"

namespace perturb {
namespace {

/// Places along each path at which an example is scored.
constexpr std::int64_t kScoredTimes = 16;

std::uint64_t seed(const Condition& condition, const char* path) {
  return static_cast<std::uint64_t>(condition.integer(path));
}

/// A row of noise a number, each from an address of its own.
Tensor rows_of_noise(std::uint64_t seed, const char* purpose,
                     const std::vector<std::int64_t>& numbers, std::int64_t width) {
  auto rows = at::empty({static_cast<std::int64_t>(numbers.size()), width}, at::kFloat);
  for (std::size_t i = 0; i < numbers.size(); ++i) {
    Random random(seed, purpose, static_cast<std::uint64_t>(numbers[i]));
    random.fill_normal({rows.data_ptr<float>() + static_cast<std::int64_t>(i) * width,
                        static_cast<std::size_t>(width)});
  }
  return rows;
}

std::vector<std::int64_t> values_of(const Tensor& numbers) {
  const auto on_cpu = numbers.cpu().contiguous();
  const auto* first = on_cpu.data_ptr<std::int64_t>();
  return {first, first + on_cpu.numel()};
}

weights::Method method(const std::string& sampler) {
  if (sampler == "euler") return weights::Method::Euler;
  return sampler == "midpoint" ? weights::Method::Midpoint : weights::Method::RungeKutta4;
}

}  // namespace

FlowMatching::FlowMatching(const Condition& condition)
    : times_(condition.text("task.times") == "beta" ? weights::Times::Beta25
                                                    : weights::Times::Uniform),
      optimal_transport_(condition.text("task.coupling") == "optimal-transport"),
      fixed_noise_(condition.flag("task.fixed_noise")),
      sigma_(condition.number("task.sigma")),
      source_std_(condition.number("task.source_std")),
      ema_(condition.number("task.ema")),
      sample_seed_(seed(condition, "seeds.sample")) {
  enter(0, condition);
}

void FlowMatching::enter(std::int64_t step, const Condition& condition) {
  step_ = static_cast<std::uint64_t>(step);
  noise_seed_ = seed(condition, "seeds.noise");
}

std::vector<Model*> FlowMatching::start(const Ingredients& ingredients) {
  const auto& [condition, data, registries] = ingredients;
  if (data.shape.input.size() != 1 || data.train.inputs().scalar_type() != at::kFloat)
    throw Error(ExitCode::Usage,
                "flow matching carries noise to vectors, which the examples of " +
                    condition.text("data.kind") + " are not",
                "[data] kind = \"weights\" has networks as vectors");
  const auto& kind = condition.text("model.kind");
  if (kind != "flow")
    throw Error(ExitCode::Usage, "flow matching trains a field, which model " + kind + " is not",
                "use [model] kind = \"flow\"");
  data_ = &data;
  registries_ = &registries;
  model_ = registries.models.at(kind)(condition, data.shape);
  if (ema_ > 0) {
    std::vector<Tensor> all;
    for (const auto& parameter : model_->parameters())
      all.push_back(parameter.tensor.detach().flatten());
    average_ = model_->add_buffer("average", at::cat(all));
  }
  return {model_.get()};
}

void FlowMatching::follow() {
  if (!average_.defined()) return;
  const at::NoGradGuard no_gradients;
  std::int64_t offset = 0;
  for (const auto& parameter : model_->parameters()) {
    const auto size = parameter.tensor.numel();
    average_.narrow(0, offset, size).lerp_(parameter.tensor.flatten(), 1 - ema_);
    offset += size;
  }
}

Tensor FlowMatching::velocities(const Tensor& points, const Tensor& times, Pass& pass) {
  return model_->forward(at::cat({points, times.unsqueeze(1)}, 1), pass);
}

Tensor FlowMatching::fixed_source(const Tensor& numbers) const {
  return rows_of_noise(noise_seed_, "flow/source", values_of(numbers), data_->shape.input[0]);
}

Tensor FlowMatching::step(const Examples& batch, Pass& pass) {
  follow();
  const auto loss = this->loss(batch, pass);
  loss.backward();
  return loss.detach();
}

Tensor FlowMatching::loss(const Examples& batch, Pass& pass) {
  auto x1 = batch.inputs;
  const auto shape = x1.sizes().vec();
  const auto address = pass.is_training() ? step_ : 0;
  Random sources(noise_seed_, "flow/source", address);
  Random moments(noise_seed_, "flow/times", address);
  auto x0 = fixed_noise_ ? fixed_source(batch.targets) : draw_normal(sources, shape);
  x0 = x0.mul_(source_std_).to(x1.device());
  if (optimal_transport_) x1 = x1.index_select(0, weights::nearest_pairs(x0, x1));
  const auto times = weights::draw_times(moments, times_, x1.size(0)).to(x1.device());
  auto noise = at::zeros_like(x1);
  if (sigma_ > 0) {
    Random off(noise_seed_, "flow/sigma", address);
    noise = draw_normal(off, shape).to(x1.device());
  }
  const auto there = weights::on_the_path(x0, x1, times, noise, sigma_);
  return at::mse_loss(velocities(there, times, pass), x1 - x0);
}

Scores FlowMatching::evaluate(const ExampleSet& examples) {
  const at::NoGradGuard no_gradients;
  double loss = 0;
  each_batch(examples, [&](const Examples& batch) {
    const auto& x1 = batch.inputs;
    const auto numbers = values_of(batch.targets);
    for (std::int64_t i = 0; i < kScoredTimes; ++i) {
      auto addresses = numbers;
      for (auto& address : addresses) address = address * kScoredTimes + i;
      const auto x0 =
          rows_of_noise(sample_seed_, "flow/evaluation", addresses, x1.size(1)).to(x1.device()) *
          source_std_;
      const double t = (static_cast<double>(i) + 0.5) / static_cast<double>(kScoredTimes);
      const auto times = at::full({x1.size(0)}, t, x1.options());
      auto pass = Pass::evaluation();
      const auto there = (1 - t) * x0 + t * x1;
      loss += (velocities(there, times, pass) - (x1 - x0))
                  .square()
                  .mean(1)
                  .sum(at::kDouble)
                  .item<double>();
    }
  });
  return {{"loss", loss / static_cast<double>(examples.size() * kScoredTimes)}};
}

Tensor FlowMatching::generate(const Generation& how) {
  const at::NoGradGuard no_gradients;
  std::vector<Tensor> trained;
  std::int64_t offset = 0;
  for (const auto& parameter : model_->parameters()) {
    if (!average_.defined()) break;
    trained.push_back(parameter.tensor.clone());
    const auto size = parameter.tensor.numel();
    parameter.tensor.copy_(average_.narrow(0, offset, size).view_as(parameter.tensor));
    offset += size;
  }
  std::vector<std::int64_t> numbers;
  for (std::int64_t i = 0; i < how.count; ++i) numbers.push_back(how.first + i);
  const auto& device = model_->parameters().front().tensor.device();
  const auto x0 =
      rows_of_noise(sample_seed_, "flow/generated", numbers, data_->shape.input[0]).to(device) *
      source_std_;
  const weights::Field field = [&](const Tensor& x, double t) {
    auto pass = Pass::evaluation();
    return velocities(x, at::full({x.size(0)}, t, x.options()), pass);
  };
  auto generated = how.sampler == "adaptive"
                       ? weights::integrate(field, x0, weights::Tolerance{}).x
                       : weights::integrate(field, x0, method(how.sampler), how.steps);
  for (std::size_t i = 0; i < trained.size(); ++i) model_->parameters()[i].tensor.copy_(trained[i]);
  return generated;
}

}  // namespace perturb
