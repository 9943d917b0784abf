// Distributions of few parameters, as models: a normal one that turns noise into its samples, and a
// binomial one that gives the masses of its bins.
#include <ATen/ATen.h>

#include "builtin/models/models.h"

namespace perturb {
namespace {

class Normal final : public Model {
 public:
  explicit Normal(const DataShape& shape) {
    std::int64_t noise = 1;
    for (const auto extent : shape.input) noise *= extent;
    mean_ = add_parameter("normal.mean", {shape.classes}, Role::Bias, noise, shape.classes);
    factor_ =
        add_parameter("normal.factor", {shape.classes, noise}, Role::Weight, noise, shape.classes);
  }

  /// What lies above the diagonal of the factor takes no part.
  Tensor forward(const Tensor& inputs, Pass& pass) override {
    return pass("normal", at::linear(inputs.flatten(1), factor_.tril(), mean_));
  }

 private:
  Tensor mean_, factor_;
};

class Binomial final : public Model {
 public:
  Binomial(std::int64_t bins, std::int64_t total, double start) {
    p_ = add_parameter("binomial.p", {1}, Role::Weight, 1, 1);
    const at::NoGradGuard no_gradients;
    p_.fill_(start);
    successes_ = at::arange(bins, at::kDouble);
    failures_ = static_cast<double>(total) - successes_;
    possible_ = failures_ >= 0;
    failures_ = failures_.clamp_min(0);
    ways_ = at::lgamma(at::scalar_tensor(static_cast<double>(total) + 1, at::kDouble)) -
            at::lgamma(successes_ + 1) - at::lgamma(failures_ + 1);
  }

  /// The same row of masses for every input, (n, bins), double: the least of them are 1e-33.
  Tensor forward(const Tensor& inputs, Pass& pass) override {
    const auto p = p_.to(at::kDouble);
    const auto device = p.device();
    const auto there = possible_.to(device);
    const auto logs =
        ways_.to(device) + successes_.to(device) * p.log() + failures_.to(device) * (1 - p).log();
    const auto masses = at::where(there, logs, at::zeros_like(logs)).exp() * there;
    return pass("masses", masses.expand({inputs.size(0), -1}));
  }

 private:
  Tensor p_;
  Tensor successes_, failures_;  ///< (bins), double
  Tensor possible_;              ///< (bins), bool: no more successes than trials
  Tensor ways_;                  ///< (bins), log of the binomial coefficient where possible
};

std::unique_ptr<Model> make_normal(const Condition&, const DataShape& shape) {
  return std::make_unique<Normal>(shape);
}

std::unique_ptr<Model> make_binomial(const Condition& condition, const DataShape& shape) {
  return std::make_unique<Binomial>(shape.classes, condition.integer("model.total_count"),
                                    condition.number("model.start"));
}

}  // namespace

void add_distributions(Registries& registries) {
  registries.models.add("normal", initialised<make_normal>);
  registries.models.add("binomial", make_binomial);
}

}  // namespace perturb
