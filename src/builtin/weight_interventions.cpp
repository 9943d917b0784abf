#include <algorithm>
#include <cmath>
#include <string>
#include <utility>
#include <vector>

#include <ATen/ATen.h>

#include "builtin/interventions.h"
#include "builtin/selection.h"
#include "builtin/weight_noise.h"
#include "perturb/core/random.h"
#include "perturb/train/draw.h"
#include "perturb/train/initialise.h"

namespace perturb {
namespace {

/// Moves parameters in random directions, each tensor by itself.
///
/// Works in double precision on the CPU: what it promises (a norm kept, a distance moved)
/// should hold to the last bit of a float.
class PerturbWeights final : public Intervention {
 public:
  PerturbWeights(const Parameters& parameters, const Condition& condition)
      : rotates_(parameters.at("mode").as_string() == "rotate"),
        epsilon_(parameters.at("epsilon").as_float()),
        unit_(noise_unit(parameters.at("relative_to").as_string())),
        layers_(parameters.at("layers").as_string()),
        draws_("perturb-weights", parameters, condition) {}

  void perturb(FlatState& state, const Instant& now) override {
    for (const auto* slice : selected(state, layers_)) {
      const auto tensor = slice->of(state.parameters());
      auto random = draws_.of(slice->name, now.step);
      const auto noise = draw_normal(random, slice->shape).to(at::kDouble);
      const auto tensors = pieces(unit_, tensor);
      const auto noises = pieces(unit_, noise);
      for (std::size_t i = 0; i < tensors.size(); ++i) {
        const auto p = tensors[i].to(at::kCPU, at::kDouble);
        const auto moved = rotates_ ? rotated(p, noises[i], slice->name) : noisy(p, noises[i]);
        if (moved.defined()) tensors[i].copy_(moved);
      }
    }
  }

 private:
  /// Undefined, like the next one, when nothing is to be changed: adding zeros is not
  /// nothing, it turns -0 into 0.
  Tensor noisy(const Tensor& p, const Tensor& noise) const {
    const double sigma = epsilon_ * scale(unit_, p);
    return sigma == 0 ? Tensor() : p + sigma * noise;
  }

  /// p cos(theta) + v r sin(theta), cos(theta) = 1 - delta^2 / (2 r^2), v orthogonal to p.
  Tensor rotated(const Tensor& p, const Tensor& noise, const std::string& name) const {
    const double r = p.norm().item<double>();
    // In multiples of r.
    const double delta = unit_ == NoiseUnit::None ? epsilon_ / r : epsilon_;
    if (r == 0 || delta == 0) return {};
    if (!(delta <= 2)) {
      throw Error(ExitCode::Usage,
                  "a rotation by " + std::to_string(epsilon_) + " is more than twice the norm of " +
                      name + ", which is " + std::to_string(r),
                  "use a smaller epsilon, relative_to = \"norm\", or fewer layers");
    }
    auto v = noise;
    // Twice, because the first time leaves rounding errors of the size of the noise.
    for (int i = 0; i < 2; ++i) v = v - p * ((v * p).sum() / (r * r));
    const double length = v.norm().item<double>();
    const double cosine = 1 - delta * delta / 2;
    const double sine = delta * std::sqrt(1 - delta * delta / 4);
    // One element has nowhere to turn: it can stay or, at delta = 2, change its sign.
    if (p.numel() == 1) return delta == 2 ? -p : Tensor();
    return sine == 0 ? p * cosine : p * cosine + v * (r * sine / length);
  }

  bool rotates_;
  double epsilon_;
  NoiseUnit unit_;
  std::string layers_;
  Draws draws_;
};

/// Forward and backward at W + noise, fresh for every batch; the step is taken from W.
class WeightNoise final : public Intervention {
 public:
  WeightNoise(const Parameters& parameters, const Condition& condition)
      : epsilon_(parameters.at("epsilon").as_float()),
        unit_(noise_unit(parameters.at("relative_to").as_string())),
        layers_(parameters.at("layers").as_string()),
        draws_("weight-noise", parameters, condition) {}

  void disturb(FlatState& state, const Instant& now) override {
    if (epsilon_ == 0) return;
    if (!clean_.defined()) clean_ = at::empty_like(state.parameters());
    clean_.copy_(state.parameters());
    add_weight_noise(state, layers_, epsilon_, unit_,
                     [&](const std::string& name) { return draws_.of(name, now.step); });
  }

  void restore(FlatState& state, const Instant&) override {
    if (epsilon_ != 0) state.parameters().copy_(clean_);
  }

 private:
  double epsilon_;
  NoiseUnit unit_;
  std::string layers_;
  Draws draws_;
  Tensor clean_;  // from disturb to restore
};

std::int64_t share(double fraction, std::int64_t count) {
  return std::llround(fraction * static_cast<double>(count));
}

/// Sets a share of every tensor to zero and keeps it there while the window lasts.
class PruneWeights final : public Intervention {
 public:
  PruneWeights(const Parameters& parameters, const Condition& condition)
      : fraction_(parameters.at("fraction").as_float()),
        by_magnitude_(parameters.at("by").as_string() == "magnitude"),
        layers_(parameters.at("layers").as_string()),
        draws_("prune-weights", parameters, condition) {}

  void perturb(FlatState& state, const Instant&) override {
    masks_.clear();
    for (const auto* slice : selected(state, layers_)) {
      if (share(fraction_, slice->size) == 0) continue;
      const auto vector = slice->of(state.parameters()).flatten();
      masks_.push_back({slice, chosen(*slice, vector)});
    }
    zero(state.parameters());
  }

  void after_backward(FlatState& state, const Instant&) override { zero(state.gradients()); }

  // Momentum moves what has no gradient.
  void after_step(FlatState& state, const Instant&) override { zero(state.parameters()); }

 private:
  struct Mask {
    const Slice* slice;
    Tensor places;
  };

  /// At later steps of a window the same places: those that are zero already are the smallest, and
  /// of equals the first are taken.
  Tensor chosen(const Slice& slice, const Tensor& vector) const {
    const auto count = share(fraction_, slice.size);
    if (by_magnitude_)
      return std::get<1>(vector.abs().sort(/*stable=*/true, 0, /*descending=*/false))
          .narrow(0, 0, count);
    auto random = draws_.of(slice.name);
    return draw_order(random, slice.size).narrow(0, 0, count).to(vector.device());
  }

  void zero(const Tensor& vector) const {
    for (const auto& [slice, places] : masks_)
      vector.narrow(0, slice->offset, slice->size).index_fill_(0, places, 0);
  }

  double fraction_;
  bool by_magnitude_;
  std::string layers_;
  Draws draws_;
  std::vector<Mask> masks_;  // of the step under way
};

class FlipSigns final : public Intervention {
 public:
  FlipSigns(const Parameters& parameters, const Condition& condition)
      : fraction_(parameters.at("fraction").as_float()),
        layers_(parameters.at("layers").as_string()),
        draws_("flip-signs", parameters, condition) {}

  void perturb(FlatState& state, const Instant& now) override {
    for (const auto* slice : selected(state, layers_)) {
      auto random = draws_.of(slice->name, now.step);
      const auto vector = state.parameters().narrow(0, slice->offset, slice->size);
      const auto places =
          draw_order(random, slice->size).narrow(0, 0, share(fraction_, slice->size));
      const auto there = places.to(vector.device());
      vector.index_copy_(0, there, -vector.index_select(0, there));
    }
  }

 private:
  double fraction_;
  std::string layers_;
  Draws draws_;
};

/// Rounds to the nearest of 2^bits - 1 levels that are symmetric about 0.
class QuantiseWeights final : public Intervention {
 public:
  QuantiseWeights(const Parameters& parameters, const Condition&)
      : levels_((std::int64_t{1} << (parameters.at("bits").as_int() - 1)) - 1),
        layers_(parameters.at("layers").as_string()) {}

  void perturb(FlatState& state, const Instant&) override {
    for (const auto* slice : selected(state, layers_)) {
      const auto p = slice->of(state.parameters());
      const double most = p.abs().max().item<double>();
      if (most == 0) continue;
      const double step = most / static_cast<double>(levels_);
      p.copy_((p.to(at::kDouble) / step).round_().mul_(step));
    }
  }

 private:
  std::int64_t levels_;
  std::string layers_;
};

/// Puts hidden units into another order, with everything that belongs to them.
class PermuteUnits final : public Intervention {
 public:
  PermuteUnits(const Parameters& parameters, const Condition& condition)
      : layers_(parameters.at("layers").as_string()),
        draws_("permute-units", parameters, condition) {}

  void perturb(FlatState& state, const Instant& now) override {
    bool any = false;
    for (const auto& group : state.unit_groups()) {
      if (!matches(layers_, group.name)) continue;
      any = true;
      auto random = draws_.of(group.name, now.step);
      const auto order = draw_order(random, group.units).to(state.parameters().device());
      for (const auto& axis : group.axes) {
        permute(axis, order, state.layout(), state.parameters());
        for (const auto& moment : state.moments()) permute(axis, order, state.layout(), moment);
        permute(axis, order, state.buffer_layout(), state.buffers());
      }
    }
    if (!any)
      throw Error(ExitCode::Usage,
                  "no layer whose units can be permuted matches layers = \"" + layers_ + "\"");
  }

 private:
  static void permute(const UnitGroup::Axis& axis, const Tensor& order,
                      const std::vector<Slice>& layout, const Tensor& vector) {
    for (const auto& slice : layout) {
      if (slice.name != axis.tensor) continue;
      const auto tensor = slice.of(vector);
      tensor.copy_(weights::permuted(tensor, axis, order));
    }
  }

  std::string layers_;
  Draws draws_;
};

/// Draws parameters anew, as the model's initialisation does; what the optimizer remembered of
/// them is forgotten.
class Reinitialise final : public Intervention {
 public:
  Reinitialise(const Parameters& parameters, const Condition& condition)
      : options_(init_options(condition)),
        layers_(parameters.at("layers").as_string()),
        draws_("reinitialise", parameters, condition) {}

  void perturb(FlatState& state, const Instant& now) override {
    for (const auto* slice : selected(state, layers_)) {
      auto random = draws_.of(slice->name, now.step);
      slice->of(state.parameters()).copy_(initial_values(random, *slice, options_));
      for (const auto& moment : state.moments()) slice->of(moment).zero_();
    }
  }

 private:
  InitOptions options_;
  std::string layers_;
  Draws draws_;
};

/// w + fraction (w' - w).
class InterpolateWeights final : public Intervention {
 public:
  InterpolateWeights(const Parameters& parameters, const Condition&)
      : fraction_(parameters.at("fraction").as_float()),
        to_init_(parameters.at("toward").as_string() == "init"),
        layers_(parameters.at("layers").as_string()) {}

  void perturb(FlatState& state, const Instant& now) override {
    if (fraction_ == 0) return;
    if (!to_init_ && !now.reference)
      throw Error(ExitCode::Usage,
                  "the trial to interpolate to has no state after as many examples");
    const auto& other = to_init_ ? now.initial : now.reference->parameters;
    if (other.numel() != state.parameters().numel())
      throw Error(ExitCode::Usage, "the trial to interpolate to has another model",
                  "vary nothing of [model] between the two");
    for (const auto* slice : selected(state, layers_)) {
      const auto p = slice->of(state.parameters());
      const auto q = slice->of(other).to(p.device());
      // At 1 the other's exact bits.
      p.copy_(fraction_ == 1 ? q : at::lerp(p, q, fraction_));
    }
  }

 private:
  double fraction_;
  bool to_init_;
  std::string layers_;
};

}  // namespace

void add_weight_interventions(Registries& registries) {
  auto& all = registries.interventions;
  all.add("perturb-weights", made<PerturbWeights>());
  all.add("weight-noise", made<WeightNoise>());
  all.add("prune-weights", made<PruneWeights>());
  all.add("flip-signs", made<FlipSigns>());
  all.add("quantise-weights", made<QuantiseWeights>());
  all.add("permute-units", made<PermuteUnits>());
  all.add("reinitialise", made<Reinitialise>());
  all.add("interpolate-weights", made<InterpolateWeights>());
}

}  // namespace perturb
