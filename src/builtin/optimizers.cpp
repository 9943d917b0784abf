#include <cmath>

#include <ATen/ATen.h>

#include "builtin/builtins.h"
#include "perturb/core/for_each_cpu.h"
#include "perturb/train/optimizer.h"

namespace perturb {
namespace {

/// torch.optim.SGD, dampening 0. The velocity is kept up to date without momentum as well, so
/// that momentum which comes back finds the last gradient and not one of long ago.
class Sgd final : public Optimizer {
 public:
  std::size_t moments() const override { return 1; }

  void configure(const Condition& condition) override {
    lr_ = condition.number("optimizer.lr");
    momentum_ = condition.number("optimizer.momentum");
    nesterov_ = condition.flag("optimizer.nesterov");
    weight_decay_ = condition.number("optimizer.weight_decay");
  }

  void step(FlatState& state, double factor, const Tensor&) override {
    const auto& w = state.parameters();
    const auto& g = state.gradients();
    const auto& v = state.moments()[0];
    if (weight_decay_ != 0) g.add_(w, weight_decay_);
    if (momentum_ == 0) {
      v.copy_(g);
    } else {
      v.mul_(momentum_).add_(g);
    }
    if (nesterov_) g.add_(v, momentum_);
    w.add_(nesterov_ ? g : v, -lr_ * factor);
  }

 private:
  double lr_ = 0, momentum_ = 0, weight_decay_ = 0;
  bool nesterov_ = false;
};

/// One step of Adam.
struct AdamStep {
  float beta1, rest1;  ///< rest is 1 - beta, which single precision would get wrong
  float beta2, rest2;
  float eps;
  float shrinks;      ///< by what the parameters are multiplied first
  float penalty;      ///< times the parameters, added to the gradient
  float rate;         ///< the learning rate over 1 - beta1^t
  float second_root;  ///< sqrt(1 - beta2^t)
};

/// In one pass over memory, which is what it costs.
PERTURB_FOR_EACH_CPU
void take(const AdamStep& step, std::int64_t count, const float* gradient, float* parameter,
          float* first, float* second) {
  const auto [beta1, rest1, beta2, rest2, eps, shrinks, penalty, rate, second_root] = step;
  for (std::int64_t i = 0; i < count; ++i) {
    const float g = gradient[i] + penalty * parameter[i];
    const float m = beta1 * first[i] + rest1 * g;
    const float v = beta2 * second[i] + rest2 * g * g;
    first[i] = m;
    second[i] = v;
    parameter[i] = shrinks * parameter[i] - rate * m / (std::sqrt(v) / second_root + eps);
  }
}

/// torch.optim.Adam, and AdamW, which differs in its weight decay alone.
class Adam final : public Optimizer {
 public:
  enum class Decay {
    Penalty,    ///< added to the gradient
    Decoupled,  ///< shrinks the parameters
  };
  explicit Adam(Decay decay) : decay_(decay) {}

  std::size_t moments() const override { return 2; }

  void configure(const Condition& condition) override {
    lr_ = condition.number("optimizer.lr");
    beta1_ = condition.number("optimizer.beta1");
    beta2_ = condition.number("optimizer.beta2");
    eps_ = condition.number("optimizer.eps");
    weight_decay_ = condition.number("optimizer.weight_decay");
  }

  void step(FlatState& state, double factor, const Tensor&) override {
    const double lr = lr_ * factor;
    const auto t = static_cast<double>(state.updates() + 1);
    const double correction1 = 1 - std::pow(beta1_, t);
    const double correction2 = 1 - std::pow(beta2_, t);
    const bool is_penalty = decay_ == Decay::Penalty;
    if (state.parameters().is_cpu()) {
      const auto narrow = [](double x) { return static_cast<float>(x); };
      take({.beta1 = narrow(beta1_),
            .rest1 = narrow(1 - beta1_),
            .beta2 = narrow(beta2_),
            .rest2 = narrow(1 - beta2_),
            .eps = narrow(eps_),
            .shrinks = narrow(is_penalty ? 1 : 1 - lr * weight_decay_),
            .penalty = narrow(is_penalty ? weight_decay_ : 0),
            .rate = narrow(lr / correction1),
            .second_root = narrow(std::sqrt(correction2))},
           state.parameters().numel(), state.gradients().data_ptr<float>(),
           state.parameters().data_ptr<float>(), state.moments()[0].data_ptr<float>(),
           state.moments()[1].data_ptr<float>());
      return;
    }
    const auto& w = state.parameters();
    const auto& g = state.gradients();
    const auto& m = state.moments()[0];
    const auto& v = state.moments()[1];
    if (weight_decay_ != 0 && is_penalty) g.add_(w, weight_decay_);
    if (weight_decay_ != 0 && !is_penalty) w.mul_(1 - lr * weight_decay_);
    m.mul_(beta1_).add_(g, 1 - beta1_);
    v.mul_(beta2_).addcmul_(g, g, 1 - beta2_);
    // The gradient has been used: its vector takes the denominator, and nothing is allocated.
    auto denominator = g;
    at::sqrt_out(denominator, v).div_(std::sqrt(correction2)).add_(eps_);
    w.addcdiv_(m, denominator, -lr / correction1);
  }

 private:
  Decay decay_;
  double lr_ = 0, beta1_ = 0, beta2_ = 0, eps_ = 0, weight_decay_ = 0;
};

}  // namespace

void add_optimizers(Registries& registries) {
  registries.optimizers.add("sgd", [] { return std::make_unique<Sgd>(); });
  registries.optimizers.add("adam", [] { return std::make_unique<Adam>(Adam::Decay::Penalty); });
  registries.optimizers.add("adamw", [] { return std::make_unique<Adam>(Adam::Decay::Decoupled); });
  add_guarded_descent(registries);
}

}  // namespace perturb
