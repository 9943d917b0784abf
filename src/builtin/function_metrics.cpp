// Metrics of what networks compute, in comparison with another network.
#include <algorithm>
#include <string>
#include <string_view>
#include <vector>

#include <ATen/ATen.h>

#include "builtin/alignment.h"
#include "builtin/metrics.h"
#include "perturb/core/error.h"
#include "perturb/core/name_pattern.h"
#include "perturb/train/batches.h"
#include "perturb/weights/weights.h"

namespace perturb {
namespace {

/// A metric of the network and another on some examples, in evaluation mode.
class Compared : public Metric {
 public:
  explicit Compared(const Parameters& parameters)
      : to_(parameters.at("to").as_string()),
        on_(parameters.at("on").as_string()),
        examples_(parameters.at("examples").as_int()) {}

  double measure(Observation& observed) final {
    const at::NoGradGuard no_gradients;
    const auto other = observed.other(to_);
    return compare(observed.self(), other, observed.examples(on_, examples_));
  }

 protected:
  virtual double compare(const Subject& self, const Subject& other, const ExampleSet& examples) = 0;

 private:
  std::string to_;
  std::string on_;
  std::int64_t examples_;
};

Tensor outputs(const Subject& subject, const Tensor& inputs) {
  auto pass = Pass::evaluation();
  return subject.task.outputs(inputs, pass);
}

/// The share of examples for which both predict the same class.
class Agreement final : public Compared {
 public:
  using Compared::Compared;

 private:
  double compare(const Subject& self, const Subject& other, const ExampleSet& examples) override {
    std::int64_t same = 0;
    each_batch(examples, [&](const Examples& batch) {
      const auto mine = outputs(self, batch.inputs).argmax(1);
      same += mine.eq(outputs(other, batch.inputs).argmax(1)).sum().item<std::int64_t>();
    });
    return static_cast<double>(same) / static_cast<double>(examples.size());
  }
};

/// KL(other || self) of the class probabilities, in nats, averaged over examples.
class KlDivergence final : public Compared {
 public:
  using Compared::Compared;

 private:
  double compare(const Subject& self, const Subject& other, const ExampleSet& examples) override {
    double sum = 0;
    each_batch(examples, [&](const Examples& batch) {
      const auto q = outputs(self, batch.inputs).to(at::kDouble).log_softmax(1);
      const auto p = outputs(other, batch.inputs).to(at::kDouble).log_softmax(1);
      sum += (p.exp() * (p - q)).sum().item<double>();
    });
    return sum / static_cast<double>(examples.size());
  }
};

/// How far the loss on the straight path between the two rises above the line between its ends
/// (Frankle et al., Linear mode connectivity and the lottery ticket hypothesis, 2020).
class LossBarrier final : public Compared {
 public:
  explicit LossBarrier(const Parameters& parameters)
      : Compared(parameters),
        points_(parameters.at("points").as_int()),
        align_(parameters.at("align").as_bool()) {}

 private:
  double compare(const Subject& self, const Subject& other, const ExampleSet& examples) override {
    const auto parameters = other.state.parameters().clone();
    const auto buffers = other.state.buffers().clone();
    if (parameters.numel() != self.state.parameters().numel())
      throw Error(ExitCode::Usage, "the trial to compare with has another number of parameters");
    if (align_)
      Aligner(self.state, {}, self.state.parameters(), self.state.buffers())
          .align(parameters, buffers);
    const Moved moved(self.state);
    std::vector<double> losses;
    for (std::int64_t i = 0; i < points_; ++i) {
      const double along = static_cast<double>(i) / static_cast<double>(points_ - 1);
      moved.to(at::lerp(moved.parameters(), parameters, along),
               at::lerp(moved.buffers(), buffers, along));
      losses.push_back(self.task.evaluate(examples).at("loss"));
    }
    return weights::barrier(losses);
  }

  std::int64_t points_;
  bool align_;
};

/// Keeps the values at the first point that matches.
class Tap final : public Probe {
 public:
  explicit Tap(const std::string& pattern) : pattern_(pattern) {}

  Tensor at(std::string_view point, const Tensor& value) override {
    if (!value_.defined() && matches(pattern_, point)) value_ = value;
    return value;
  }

  Tensor take() {
    if (!value_.defined())
      throw Error(ExitCode::Usage, "no point of the model matches layer = \"" + pattern_ + "\"");
    return std::exchange(value_, {});
  }

 private:
  std::string pattern_;
  Tensor value_;
};

/// Linear centred kernel alignment of activations (Kornblith et al., Similarity of neural network
/// representations revisited, 2019, eq. 3 with linear kernels).
class Cka final : public Compared {
 public:
  explicit Cka(const Parameters& parameters)
      : Compared(parameters), layer_(parameters.at("layer").as_string()) {}

 private:
  double compare(const Subject& self, const Subject& other, const ExampleSet& examples) override {
    const auto x = activations(self, examples);
    const auto y = activations(other, examples);
    return product(x, y) / std::sqrt(product(x, x) * product(y, y));
  }

  /// (examples, features), every feature with mean 0.
  Tensor activations(const Subject& subject, const ExampleSet& examples) const {
    std::vector<Tensor> all;
    each_batch(examples, [&](const Examples& batch) {
      Tap tap(layer_);
      auto pass = Pass::evaluation();
      pass.add(tap);
      subject.task.outputs(batch.inputs, pass);
      all.push_back(tap.take().flatten(1).to(at::kDouble));
    });
    const auto joined = at::cat(all);
    return joined - joined.mean(0, /*keepdim=*/true);
  }

  /// |y^T x|^2, by way of the smaller matrices.
  static double product(const Tensor& x, const Tensor& y) {
    if (x.size(1) * y.size(1) <= x.size(0) * x.size(0))
      return y.t().matmul(x).square().sum().item<double>();
    return (x.matmul(x.t()) * y.matmul(y.t())).sum().item<double>();
  }

  std::string layer_;
};

}  // namespace

void add_function_metrics(Registries& registries) {
  registries.metrics.add("agreement", measured<Agreement>());
  registries.metrics.add("kl-divergence", measured<KlDivergence>());
  registries.metrics.add("loss-barrier", measured<LossBarrier>());
  registries.metrics.add("cka", measured<Cka>());
}

}  // namespace perturb
