#include <cmath>
#include <string>

#include <ATen/ATen.h>

#include "builtin/interventions.h"
#include "builtin/selection.h"
#include "perturb/train/draw.h"

namespace perturb {
namespace {

/// Adds normal noise to the gradient of every batch.
class PerturbGradients final : public Intervention {
 public:
  PerturbGradients(const Parameters& parameters, const Condition& condition)
      : epsilon_(parameters.at("epsilon").as_float()),
        relative_(parameters.at("relative_to").as_string() == "norm"),
        layers_(parameters.at("layers").as_string()),
        draws_("perturb-gradients", parameters, condition) {}

  void after_backward(FlatState& state, const Instant& now) override {
    if (epsilon_ == 0) return;
    for (const auto* slice : selected(state, layers_)) {
      const auto g = slice->of(state.gradients());
      double sigma = epsilon_;
      if (relative_) sigma *= g.norm().item<double>() / std::sqrt(static_cast<double>(slice->size));
      auto random = draws_.of(slice->name, now.step);
      g.add_(draw_normal(random, slice->shape).to(g.device()), sigma);
    }
  }

 private:
  double epsilon_;
  bool relative_;
  std::string layers_;
  Draws draws_;
};

class ScaleGradients final : public Intervention {
 public:
  ScaleGradients(const Parameters& parameters, const Condition&)
      : factor_(parameters.at("factor").as_float()), layers_(parameters.at("layers").as_string()) {}

  void after_backward(FlatState& state, const Instant&) override {
    for (const auto* slice : selected(state, layers_)) slice->of(state.gradients()).mul_(factor_);
  }

 private:
  double factor_;
  std::string layers_;
};

/// By the norm of all selected gradients together, as torch.nn.utils.clip_grad_norm_, but without
/// its 1e-6 in the denominator: the norm afterwards is the bound.
class ClipGradients final : public Intervention {
 public:
  ClipGradients(const Parameters& parameters, const Condition&)
      : norm_(parameters.at("norm").as_float()), layers_(parameters.at("layers").as_string()) {}

  void after_backward(FlatState& state, const Instant&) override {
    const auto slices = selected(state, layers_);
    double squares = 0;
    for (const auto* slice : slices) {
      const double norm = slice->of(state.gradients()).norm().item<double>();
      squares += norm * norm;
    }
    const double norm = std::sqrt(squares);
    if (norm <= norm_) return;
    for (const auto* slice : slices) slice->of(state.gradients()).mul_(norm_ / norm);
  }

 private:
  double norm_;
  std::string layers_;
};

class SignGradients final : public Intervention {
 public:
  SignGradients(const Parameters& parameters, const Condition&)
      : layers_(parameters.at("layers").as_string()) {}

  void after_backward(FlatState& state, const Instant&) override {
    for (const auto* slice : selected(state, layers_)) slice->of(state.gradients()).sign_();
  }

 private:
  std::string layers_;
};

}  // namespace

void add_gradient_interventions(Registries& registries) {
  auto& all = registries.interventions;
  all.add("perturb-gradients", made<PerturbGradients>());
  all.add("scale-gradients", made<ScaleGradients>());
  all.add("clip-gradients", made<ClipGradients>());
  all.add("sign-gradients", made<SignGradients>());
}

}  // namespace perturb
