#include <cmath>
#include <string>

#include <ATen/ATen.h>

#include "builtin/builtins.h"
#include "perturb/core/random.h"
#include "perturb/train/draw.h"
#include "perturb/train/intervention.h"
#include "perturb/train/name_pattern.h"

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
        relative_to_(parameters.at("relative_to").as_string()),
        layers_(parameters.at("layers").as_string()),
        seed_(static_cast<std::uint64_t>(condition.integer("seeds.noise"))),
        purpose_("perturb-weights/" + std::to_string(parameters.at("seed").as_int()) + "/") {}

  void perturb(FlatState& state, std::int64_t step) override {
    bool any = false;
    for (const auto& slice : state.layout()) {
      if (!matches(layers_, slice.name)) continue;
      any = true;
      const auto tensor = slice.of(state.parameters());
      const auto p = tensor.to(at::kCPU, at::kDouble);
      Random random(seed_, purpose_ + slice.name, static_cast<std::uint64_t>(step));
      const auto noise = draw_normal(random, slice.shape).to(at::kDouble);
      const auto moved = rotates_ ? rotated(p, noise, slice.name) : noisy(p, noise);
      if (moved.defined()) tensor.copy_(moved);
    }
    if (!any) {
      throw Error(ExitCode::Usage, "no parameter's name matches layers = \"" + layers_ + "\"");
    }
  }

 private:
  /// Undefined, like the next one, when nothing is to be changed: adding zeros is not
  /// nothing, it turns -0 into 0.
  Tensor noisy(const Tensor& p, const Tensor& noise) const {
    const double sigma = epsilon_ * unit(p);
    return sigma == 0 ? Tensor() : p + sigma * noise;
  }

  /// The standard deviation of the noise at epsilon = 1.
  double unit(const Tensor& p) const {
    if (relative_to_ == "none") return 1;
    if (relative_to_ == "std") return p.numel() < 2 ? 0 : p.std().item<double>();
    return p.norm().item<double>() / std::sqrt(static_cast<double>(p.numel()));
  }

  /// p cos(theta) + v r sin(theta), cos(theta) = 1 - delta^2 / (2 r^2), v orthogonal to p.
  Tensor rotated(const Tensor& p, const Tensor& noise, const std::string& name) const {
    const double r = p.norm().item<double>();
    // In multiples of r.
    const double delta = relative_to_ == "none" ? epsilon_ / r : epsilon_;
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
  std::string relative_to_;
  std::string layers_;
  std::uint64_t seed_;
  std::string purpose_;
};

}  // namespace

void add_interventions(Registries& registries) {
  registries.interventions.add("perturb-weights",
                               [](const Parameters& parameters, const Condition& condition) {
                                 return std::make_unique<PerturbWeights>(parameters, condition);
                               });
}

}  // namespace perturb
