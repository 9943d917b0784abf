#include "builtin/critic.h"

#include <cmath>

#include <ATen/ATen.h>
#include <torch/csrc/autograd/autograd.h>

#include "perturb/core/error.h"
#include "perturb/train/initialise.h"

namespace perturb {
namespace {

constexpr double kSlope = 0.2;  // of LeakyReLU below zero
constexpr double kEps = 1e-8;   // of Adam

std::string layer_name(std::size_t weight) {
  return "critic.fc" + std::to_string(weight / 2 + 1) + (weight % 2 == 0 ? ".weight" : ".bias");
}

Steepness steepness(const std::string& name) {
  if (name == "clipping") return Steepness::Clipped;
  if (name == "penalty") return Steepness::Penalty;
  if (name == "one-sided-penalty") return Steepness::OneSided;
  throw Error(ExitCode::Bug, "there is no constraint " + name);
}

}  // namespace

CriticOptions critic_options(const Condition& condition, std::int64_t coordinates) {
  CriticOptions options;
  options.coordinates = coordinates;
  options.width = condition.integer("task.critic_width");
  options.layers = condition.integer("task.critic_layers");
  options.tanh = condition.text("task.critic_activation") == "tanh";
  options.lr = condition.number("task.critic_lr");
  options.beta1 = condition.number("task.critic_beta1");
  options.beta2 = condition.number("task.critic_beta2");
  options.lambda = condition.number("task.penalty");
  if (const auto* name = condition.find("task.constraint"))
    options.steepness = steepness(name->as_string());
  if (const auto* clip = condition.find("task.clip")) options.clip = clip->as_float();
  if (const auto* sobolev = condition.find("task.sobolev")) options.sobolev = sobolev->as_float();
  return options;
}

Tensor row_norms(const Tensor& gradients) {
  // The root has no derivative at 0: 0 times infinity would be NaN.
  const auto squares = gradients.square().sum(1);
  const auto positive = squares > 0;
  return at::where(positive, at::where(positive, squares, at::ones_like(squares)).sqrt(),
                   at::zeros_like(squares));
}

Critic::Critic(const CriticOptions& options) : options_(options) {
  auto in = options.coordinates;
  std::int64_t size = 0;
  for (std::int64_t i = 0; i <= options.layers; ++i) {
    const auto out = i < options.layers ? options.width : 1;
    for (const auto& shape : {std::vector<std::int64_t>{out, in}, std::vector<std::int64_t>{out}}) {
      weights_.push_back(at::zeros(shape, at::kFloat).set_requires_grad(true));
      size += weights_.back().numel();
    }
    in = out;
  }
  m_ = at::zeros({size}, at::kFloat);
  v_ = at::zeros({size}, at::kFloat);
  updates_ = at::zeros({1}, at::kFloat);
}

void Critic::draw(std::uint64_t seed, std::uint64_t step) {
  const at::NoGradGuard no_gradients;
  for (std::size_t i = 0; i < weights_.size(); ++i) {
    const auto& weight = weights_[i];
    const auto& matrix = weights_[i - i % 2];
    const auto name = layer_name(i);
    Random random(seed, "init/" + name, step);
    const Slice slice = {name,
                         i % 2 == 0 ? Role::Weight : Role::Bias,
                         0,
                         weight.numel(),
                         weight.sizes().vec(),
                         matrix.size(1),
                         matrix.size(0)};
    weight.copy_(initial_values(random, slice, {}));
  }
  m_.zero_();
  v_.zero_();
  updates_.zero_();
}

void Critic::to(c10::Device device) const {
  for (const auto& weight : weights_) weight.set_data(weight.detach().to(device));
  for (const auto& memory : {m_, v_, updates_}) memory.set_data(memory.to(device));
}

void Critic::carry_in(Model& model) const {
  for (std::size_t i = 0; i < weights_.size(); ++i) model.add_buffer(layer_name(i), weights_[i]);
  model.add_buffer("critic.m", m_);
  model.add_buffer("critic.v", v_);
  model.add_buffer("critic.updates", updates_);
}

Tensor Critic::operator()(const Tensor& points) const {
  auto h = points;
  for (std::size_t i = 0; i < weights_.size(); i += 2) {
    h = at::linear(h, weights_[i], weights_[i + 1]);
    if (i + 2 < weights_.size()) h = options_.tanh ? at::tanh(h) : at::leaky_relu(h, kSlope);
  }
  return h.squeeze(1);
}

Tensor Critic::gradient(const Tensor& points, bool history) const {
  const auto x = points.detach().requires_grad_(true);
  return torch::autograd::grad({(*this)(x).sum()}, {x}, {}, history, history)[0];
}

Tensor Critic::penalties(const Tensor& points) const {
  const auto gradient = this->gradient(points, /*history=*/true);
  auto sum = at::zeros({}, points.options());
  if (options_.steepness != Steepness::Clipped) {
    auto excess = row_norms(gradient) - 1;
    if (options_.steepness == Steepness::OneSided) excess = excess.clamp_min(0);
    sum = sum + options_.lambda * excess.square().mean();
  }
  if (options_.sobolev > 0) {
    const auto square = (*this)(points).square() + gradient.square().sum(1);
    sum = sum + options_.sobolev * square.mean();
  }
  return sum;
}

void Critic::update(const Tensor& real, const Tensor& fake, const Tensor& mix) {
  auto loss = (*this)(fake).mean() - (*this)(real).mean();
  if (options_.steepness != Steepness::Clipped || options_.sobolev > 0) {
    const auto w = mix.unsqueeze(1);
    loss = loss + penalties(w * real + (1 - w) * fake);
  }
  // The last bias moves no gradient of u: a penalty alone does not know it.
  adam(torch::autograd::grad({loss}, weights_, {}, {}, false, /*allow_unused=*/true));
}

void Critic::adam(const std::vector<Tensor>& gradients) {
  const at::NoGradGuard no_gradients;
  updates_.add_(1);
  const double t = updates_.item<float>();
  const double correction1 = 1 - std::pow(options_.beta1, t);
  const double correction2 = std::sqrt(1 - std::pow(options_.beta2, t));
  std::int64_t offset = 0;
  for (std::size_t i = 0; i < weights_.size(); ++i) {
    const auto& weight = weights_[i];
    const auto m = m_.narrow(0, offset, weight.numel()).view(weight.sizes());
    const auto v = v_.narrow(0, offset, weight.numel()).view(weight.sizes());
    offset += weight.numel();
    if (gradients[i].defined()) {
      const auto& g = gradients[i];
      m.mul_(options_.beta1).add_(g, 1 - options_.beta1);
      v.mul_(options_.beta2).addcmul_(g, g, 1 - options_.beta2);
      weight.addcdiv_(m, v.sqrt().div_(correction2).add_(kEps), -options_.lr / correction1);
    }
    if (options_.steepness == Steepness::Clipped) weight.clamp_(-options_.clip, options_.clip);
  }
}

}  // namespace perturb
