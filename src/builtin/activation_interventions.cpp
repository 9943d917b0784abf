#include <cmath>
#include <string>
#include <vector>

#include <ATen/ATen.h>

#include "builtin/interventions.h"
#include "perturb/core/name_pattern.h"
#include "perturb/train/draw.h"

namespace perturb {
namespace {

/// Changes the values at selected points of training's forward passes; gradients flow through what
/// it computes.
class Activations : public Intervention, public Probe {
 public:
  explicit Activations(const Parameters& parameters)
      : layers_(parameters.at("layers").as_string()) {}

  void watch(Pass& pass, const Instant& now) final {
    step_ = now.step;
    pass.add(*this);
  }

  Tensor at(std::string_view point, const Tensor& value) final {
    return matches(layers_, point) ? changed(std::string(point), value) : value;
  }

 protected:
  virtual Tensor changed(const std::string& point, const Tensor& value) = 0;
  std::int64_t step() const { return step_; }

 private:
  std::string layers_;
  std::int64_t step_ = 0;
};

class PerturbActivations final : public Activations {
 public:
  PerturbActivations(const Parameters& parameters, const Condition& condition)
      : Activations(parameters),
        epsilon_(parameters.at("epsilon").as_float()),
        relative_(parameters.at("relative_to").as_string() == "std"),
        draws_("perturb-activations", parameters, condition) {}

 private:
  Tensor changed(const std::string& point, const Tensor& value) override {
    double sigma = epsilon_;
    if (relative_ && value.numel() > 1) sigma *= value.detach().std().item<double>();
    if (sigma == 0) return value;
    auto random = draws_.of(point, step());
    return value + draw_normal(random, value.sizes().vec()).mul_(sigma).to(value.device());
  }

  double epsilon_;
  bool relative_;
  Draws draws_;
};

class ScaleActivations final : public Activations {
 public:
  ScaleActivations(const Parameters& parameters, const Condition&)
      : Activations(parameters), factor_(parameters.at("factor").as_float()) {}

 private:
  Tensor changed(const std::string&, const Tensor& value) override { return value * factor_; }

  double factor_;
};

/// The same units at every step: dimension 1, channels or features.
class ZeroUnits final : public Activations {
 public:
  ZeroUnits(const Parameters& parameters, const Condition& condition)
      : Activations(parameters),
        fraction_(parameters.at("fraction").as_float()),
        draws_("zero-units", parameters, condition) {}

 private:
  Tensor changed(const std::string& point, const Tensor& value) override {
    const auto units = value.size(1);
    const auto count = std::llround(fraction_ * static_cast<double>(units));
    if (count == 0) return value;
    auto random = draws_.of(point);
    const auto places = draw_order(random, units).narrow(0, 0, count).to(value.device());
    return value.index_fill(1, places, 0);
  }

  double fraction_;
  Draws draws_;
};

class DropActivations final : public Activations {
 public:
  DropActivations(const Parameters& parameters, const Condition& condition)
      : Activations(parameters),
        probability_(parameters.at("probability").as_float()),
        draws_("drop-activations", parameters, condition) {}

 private:
  Tensor changed(const std::string& point, const Tensor& value) override {
    if (probability_ == 0) return value;
    auto random = draws_.of(point, step());
    const auto kept = draw_uniform(random, value.sizes().vec()).ge_(probability_);
    return value * kept.div_(1 - probability_).to(value.device());
  }

  double probability_;
  Draws draws_;
};

class ClampActivations final : public Activations {
 public:
  ClampActivations(const Parameters& parameters, const Condition&)
      : Activations(parameters),
        least_(parameters.at("least").as_float()),
        most_(parameters.at("most").as_float()) {}

 private:
  Tensor changed(const std::string&, const Tensor& value) override {
    return value.clamp(least_, most_);
  }

  double least_;
  double most_;
};

}  // namespace

void add_activation_interventions(Registries& registries) {
  auto& all = registries.interventions;
  all.add("perturb-activations", made<PerturbActivations>());
  all.add("scale-activations", made<ScaleActivations>());
  all.add("zero-units", made<ZeroUnits>());
  all.add("drop-activations", made<DropActivations>());
  all.add("clamp-activations", made<ClampActivations>());
}

}  // namespace perturb
