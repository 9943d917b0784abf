// Derivatives of the loss at a state, over some examples in evaluation mode.
#include <cmath>
#include <functional>
#include <string>
#include <vector>

#include <ATen/ATen.h>
#include <torch/csrc/autograd/autograd.h>

#include "builtin/metrics.h"
#include "perturb/core/random.h"
#include "perturb/train/batches.h"
#include "perturb/train/draw.h"

namespace perturb {
namespace {

/// The mean loss over a set of examples as a function of a state's parameters.
class Loss {
 public:
  Loss(const Subject& subject, ExampleSet examples)
      : subject_(subject), examples_(std::move(examples)) {}

  double value() const { return subject_.task.evaluate(examples_).at("loss"); }

  /// As one vector, double.
  Tensor gradient() const {
    const auto& sum = subject_.state.gradients();
    sum.zero_();
    each([](const Tensor& loss) { loss.backward(); });
    return sum.to(at::kDouble);
  }

  /// The Hessian times `direction`, both vectors of doubles; by differentiating the gradient's
  /// product with it (Pearlmutter, Fast exact multiplication by the Hessian, 1994).
  Tensor hessian_times(const Tensor& direction) const {
    const auto& state = subject_.state;
    const auto along = direction.to(state.parameters().options());
    auto sum = at::zeros_like(direction);
    each([&](const Tensor& loss) {
      const auto gradients = torch::autograd::grad({loss}, state.leaves(), {}, {}, true, true);
      Tensor product = at::zeros({}, along.options());
      for (std::size_t i = 0; i < gradients.size(); ++i) {
        if (gradients[i].defined())
          product = product + (gradients[i] * state.layout()[i].of(along)).sum();
      }
      const auto rows = torch::autograd::grad({product}, state.leaves(), {}, {}, false, true);
      for (std::size_t i = 0; i < rows.size(); ++i) {
        const auto& slice = state.layout()[i];
        if (rows[i].defined())
          sum.narrow(0, slice.offset, slice.size).add_(rows[i].flatten().to(at::kDouble));
      }
    });
    return sum;
  }

  std::int64_t parameters() const { return subject_.state.parameters().numel(); }
  c10::Device device() const { return subject_.state.parameters().device(); }

 private:
  /// Uses each batch's share of the mean.
  void each(const std::function<void(const Tensor&)>& use) const {
    const at::AutoGradMode with_gradients(true);
    const auto all = static_cast<double>(examples_.size());
    each_batch(examples_, [&](const Examples& batch) {
      auto pass = Pass::evaluation();
      use(subject_.task.loss(batch, pass) * (static_cast<double>(batch.size()) / all));
    });
  }

  const Subject& subject_;
  ExampleSet examples_;
};

class Curvature : public Metric {
 public:
  explicit Curvature(const Parameters& parameters)
      : on_(parameters.at("on").as_string()), examples_(parameters.at("examples").as_int()) {}

  double measure(Observation& observed) final {
    return of(observed, Loss(observed.self(), observed.examples(on_, examples_)));
  }

 protected:
  virtual double of(Observation& observed, const Loss& loss) = 0;
  /// What the estimate depends on beside the metric's own parameters.
  std::string address() const { return on_ + "/" + std::to_string(examples_); }

 private:
  std::string on_;
  std::int64_t examples_;
};

class GradientNorm final : public Curvature {
 public:
  using Curvature::Curvature;

 private:
  double of(Observation&, const Loss& loss) override {
    return loss.gradient().norm().item<double>();
  }
};

/// The largest eigenvalue by Lanczos' method with full reorthogonalisation (Golub and Van Loan,
/// Matrix computations, 2013, section 10.3).
class HessianEigenvalue final : public Curvature {
 public:
  explicit HessianEigenvalue(const Parameters& parameters)
      : Curvature(parameters),
        iterations_(parameters.at("iterations").as_int()),
        tolerance_(parameters.at("tolerance").as_float()),
        seed_(static_cast<std::uint64_t>(parameters.at("seed").as_int())) {}

 private:
  double of(Observation&, const Loss& loss) override {
    Random random(seed_, "hessian-eigenvalue");
    auto v = draw_normal(random, {loss.parameters()}).to(loss.device(), at::kDouble);
    v = v / v.norm();
    std::vector<Tensor> basis = {v};
    std::vector<double> diagonal;
    std::vector<double> beside;
    double largest = std::nan("");
    while (true) {
      auto next = loss.hessian_times(basis.back());
      diagonal.push_back(next.dot(basis.back()).item<double>());
      for (int twice = 0; twice < 2; ++twice) {
        for (const auto& one : basis) next = next - one * next.dot(one);
      }
      const double left = next.norm().item<double>();
      const auto [values, vectors] = at::linalg_eigh(tridiagonal(diagonal, beside));
      largest = values[-1].item<double>();
      const double residual = left * std::abs(vectors[-1][-1].item<double>());
      const auto taken = static_cast<std::int64_t>(basis.size());
      if (residual <= tolerance_ * std::abs(largest) || taken == iterations_ ||
          taken == loss.parameters())
        return largest;
      beside.push_back(left);
      basis.push_back(next / left);
    }
  }

  static Tensor tridiagonal(const std::vector<double>& diagonal,
                            const std::vector<double>& beside) {
    const auto n = static_cast<std::int64_t>(diagonal.size());
    auto matrix = at::zeros({n, n}, at::kDouble);
    auto entries = matrix.accessor<double, 2>();
    for (std::int64_t i = 0; i < n; ++i) {
      entries[i][i] = diagonal[static_cast<std::size_t>(i)];
      if (i + 1 < n) {
        entries[i][i + 1] = beside[static_cast<std::size_t>(i)];
        entries[i + 1][i] = beside[static_cast<std::size_t>(i)];
      }
    }
    return matrix;
  }

  std::int64_t iterations_;
  double tolerance_;
  std::uint64_t seed_;
};

/// The mean of v^T H v over random vectors of signs, or its standard error (Hutchinson, A
/// stochastic estimator of the trace of the influence matrix, 1990).
class HessianTrace final : public Curvature {
 public:
  explicit HessianTrace(const Parameters& parameters)
      : Curvature(parameters),
        error_(parameters.at("value").as_string() == "standard-error"),
        draws_(parameters.at("draws").as_int()),
        seed_(parameters.at("seed").as_int()) {}

 private:
  double of(Observation& observed, const Loss& loss) override {
    const auto name =
        "hessian-trace/" + address() + "/" + std::to_string(draws_) + "/" + std::to_string(seed_);
    const auto& estimate = observed.once(name, [&] { return mean_and_error(loss); });
    return estimate[error_ ? 1 : 0];
  }

  std::vector<double> mean_and_error(const Loss& loss) const {
    std::vector<double> values;
    for (std::int64_t i = 0; i < draws_; ++i) {
      Random random(static_cast<std::uint64_t>(seed_), "hessian-trace",
                    static_cast<std::uint64_t>(i));
      const auto signs = draw_uniform(random, {loss.parameters()}).ge(0.5).to(at::kDouble);
      const auto v = (signs * 2 - 1).to(loss.device());
      values.push_back(v.dot(loss.hessian_times(v)).item<double>());
    }
    const auto all = at::tensor(values, at::kDouble);
    const double n = static_cast<double>(draws_);
    return {all.mean().item<double>(), all.std().item<double>() / std::sqrt(n)};
  }

  bool error_;
  std::int64_t draws_;
  std::int64_t seed_;
};

/// L(w + rho g / |g|) - L(w), g the gradient at w (Foret et al., Sharpness-aware minimization,
/// 2021).
class Sharpness final : public Curvature {
 public:
  explicit Sharpness(const Parameters& parameters)
      : Curvature(parameters), rho_(parameters.at("rho").as_float()) {}

 private:
  double of(Observation& observed, const Loss& loss) override {
    const auto gradient = loss.gradient();
    const double norm = gradient.norm().item<double>();
    if (norm == 0) return 0;
    const double here = loss.value();
    const Moved moved(observed.state());
    const auto there = moved.parameters().to(at::kDouble) + gradient * (rho_ / norm);
    moved.to(there.to(at::kFloat), moved.buffers());
    return loss.value() - here;
  }

  double rho_;
};

}  // namespace

void add_curvature_metrics(Registries& registries) {
  registries.metrics.add("gradient-norm", measured<GradientNorm>());
  registries.metrics.add("hessian-eigenvalue", measured<HessianEigenvalue>());
  registries.metrics.add("hessian-trace", measured<HessianTrace>());
  registries.metrics.add("sharpness", measured<Sharpness>());
}

}  // namespace perturb
