#include <algorithm>
#include <cmath>
#include <limits>

#include <ATen/ATen.h>

#include "builtin/builtins.h"
#include "perturb/train/optimizer.h"

namespace perturb {
namespace {

/// A number that the state keeps: every entry of one of its moments. So whatever puts parameters
/// into another order, and the moments with them, leaves it as it is.
class Kept {
 public:
  explicit Kept(const Tensor& moment) : moment_(moment) {}
  double get() const { return moment_[0].item<float>(); }
  void set(double value) const { moment_.fill_(value); }

 private:
  const Tensor& moment_;
};

/// Momentum on steps of bounded length that grow while the loss falls and shrink while it does not;
/// a rise that lasts goes back to the best parameters so far, and with them it ends.
///
/// The rule of Yang's weight_perturbation, which forgets the former parameters when it goes back
/// and bounds no step; here it does both.
class Guarded final : public Optimizer {
 public:
  std::size_t moments() const override { return kMoments; }

  void configure(const Condition& condition) override {
    const auto number = [&](const char* name) {
      return condition.number(std::string("optimizer.") + name);
    };
    lr_ = number("lr");
    momentum_ = number("momentum");
    longest_ = number("longest_step");
    growth_ = number("growth");
    decay_ = number("decay");
    least_lr_ = number("least_lr");
    most_lr_ = number("most_lr");
    steps_ = condition.integer("optimizer.steps");
    patience_ = condition.integer("optimizer.patience");
    rises_ = condition.integer("optimizer.rises");
  }

  void step(FlatState& state, double factor, const Tensor& loss) override {
    const auto& w = state.parameters();
    const auto& velocity = state.moments()[kVelocity];
    const auto& best = state.moments()[kBest];
    const auto kept = [&](Moment which) { return Kept(state.moments()[which]); };
    const auto scale = kept(kScale), least = kept(kLeast), last = kept(kLast);
    const auto waited = kept(kWaited), risen = kept(kRisen);
    const bool first = state.updates() == 0;
    if (!first && (waited.get() >= static_cast<double>(patience_) || state.updates() >= steps_)) {
      w.copy_(best);
      return;
    }

    const double now = loss.item<double>();
    if (first || now < least.get()) {
      best.copy_(w);
      least.set(now);
      waited.set(0);
      scale.set(first ? 1 : scale.get() * growth_);
    } else {
      waited.set(waited.get() + 1);
      scale.set(scale.get() * decay_);
    }
    risen.set(!first && now > last.get() ? risen.get() + 1 : 0);
    last.set(now);

    // What was evaluated last moves no further: nobody would know how good the next place is.
    if (waited.get() >= static_cast<double>(patience_) || state.updates() + 1 >= steps_) {
      w.copy_(best);
      return;
    }
    if (risen.get() >= static_cast<double>(rises_)) {
      w.copy_(best);
      velocity.zero_();
      scale.set(scale.get() * decay_);
      risen.set(0);
      return;
    }
    const double lr = std::clamp(lr_ * scale.get(), least_lr_, most_lr_);
    if (lr_ > 0) scale.set(lr / lr_);
    const auto& g = state.gradients();
    g.mul_(-lr * factor);
    const double length = g.norm().item<double>();
    if (length > longest_) {
      g.mul_(longest_ / length);
      kept(kClipped).set(kept(kClipped).get() + 1);
    }
    velocity.mul_(momentum_).add_(g, 1 - momentum_);
    w.add_(velocity);
  }

 private:
  enum Moment : std::size_t {
    kVelocity,
    kBest,     ///< the parameters with the least loss so far
    kScale,    ///< of the learning rate
    kLeast,    ///< the loss of the best
    kLast,     ///< the loss of the step before
    kWaited,   ///< steps since the best
    kRisen,    ///< steps in a row in which the loss rose
    kClipped,  ///< steps that were too long
    kMoments,
  };
  double lr_ = 0, momentum_ = 0, longest_ = 0, growth_ = 1, decay_ = 1;
  double least_lr_ = 0, most_lr_ = 0;
  std::int64_t steps_ = 0, patience_ = 0, rises_ = 0;
};

}  // namespace

void add_guarded_descent(Registries& registries) {
  registries.optimizers.add("guarded", [] { return std::make_unique<Guarded>(); });
}

}  // namespace perturb
