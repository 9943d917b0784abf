// Metrics of parameters alone, taken as one vector and summed in double precision.
#include <algorithm>
#include <cmath>
#include <string>
#include <vector>

#include <ATen/ATen.h>

#include "builtin/metrics.h"
#include "builtin/selection.h"

namespace perturb {
namespace {

double sum_of_products(const Tensor& a, const Tensor& b) {
  return a.to(at::kDouble).flatten().dot(b.to(at::kDouble).flatten()).item<double>();
}

/// The parameters whose names match, of one vector or of two that are laid out alike.
class Selection {
 public:
  explicit Selection(const Parameters& parameters) : layers_(parameters.at("layers").as_string()) {}

  double norm(const FlatState& state, const Tensor& vector) const {
    double squares = 0;
    for (const auto& part : of(state, vector)) squares += sum_of_products(part, part);
    return std::sqrt(squares);
  }

  double distance(const FlatState& state, const Tensor& a, const Tensor& b) const {
    require_alike(a, b);
    const auto of_a = of(state, a);
    const auto of_b = of(state, b);
    double squares = 0;
    for (std::size_t i = 0; i < of_a.size(); ++i) {
      const auto difference = of_a[i].to(at::kDouble) - of_b[i].to(at::kDouble);
      squares += sum_of_products(difference, difference);
    }
    return std::sqrt(squares);
  }

  double product(const FlatState& state, const Tensor& a, const Tensor& b) const {
    require_alike(a, b);
    const auto of_a = of(state, a);
    const auto of_b = of(state, b);
    double sum = 0;
    for (std::size_t i = 0; i < of_a.size(); ++i) sum += sum_of_products(of_a[i], of_b[i]);
    return sum;
  }

 private:
  std::vector<Tensor> of(const FlatState& state, const Tensor& vector) const {
    if (layers_ == "*") return {vector};
    std::vector<Tensor> parts;
    for (const auto* slice : selected(state, layers_))
      parts.push_back(vector.narrow(0, slice->offset, slice->size));
    return parts;
  }

  static void require_alike(const Tensor& a, const Tensor& b) {
    if (a.numel() == b.numel()) return;
    throw Error(ExitCode::Usage, "the trial to compare with has another number of parameters",
                "compare what networks compute: agreement, kl-divergence or cka");
  }

  std::string layers_;
};

class WeightNorm final : public Metric {
 public:
  explicit WeightNorm(const Parameters& parameters) : selection_(parameters) {}
  double measure(Observation& observed) override {
    return selection_.norm(observed.state(), observed.state().parameters());
  }

 private:
  Selection selection_;
};

/// A metric of the state and another.
class Relative : public Metric {
 public:
  explicit Relative(const Parameters& parameters)
      : selection_(parameters), to_(parameters.at("to").as_string()) {}

  double measure(Observation& observed) final {
    const auto other = observed.other(to_);
    return compare(observed.self(), other);
  }

 protected:
  virtual double compare(const Subject& self, const Subject& other) = 0;
  const Selection& selection() const { return selection_; }

 private:
  Selection selection_;
  std::string to_;
};

class NormRatio final : public Relative {
 public:
  using Relative::Relative;

 private:
  double compare(const Subject& self, const Subject& other) override {
    return selection().norm(self.state, self.state.parameters()) /
           selection().norm(other.state, other.state.parameters());
  }
};

class Distance final : public Relative {
 public:
  explicit Distance(const Parameters& parameters)
      : Relative(parameters), initial_(parameters.at("per").as_string() == "initial-distance") {}

 private:
  double compare(const Subject& self, const Subject& other) override {
    const auto& state = self.state;
    const double distance =
        selection().distance(state, state.parameters(), other.state.parameters());
    return initial_ ? distance / selection().distance(state, self.initial, other.initial)
                    : distance;
  }

  bool initial_;
};

class Cosine final : public Relative {
 public:
  using Relative::Relative;

 private:
  double compare(const Subject& self, const Subject& other) override {
    const auto& a = self.state.parameters();
    const auto& b = other.state.parameters();
    const double product = selection().product(self.state, a, b);
    const double cosine =
        product / (selection().norm(self.state, a) * selection().norm(self.state, b));
    return std::clamp(cosine, -1.0, 1.0);
  }
};

}  // namespace

void add_state_metrics(Registries& registries) {
  registries.metrics.add("weight-norm", measured<WeightNorm>());
  registries.metrics.add("norm-ratio", measured<NormRatio>());
  registries.metrics.add("distance", measured<Distance>());
  registries.metrics.add("cosine-similarity", measured<Cosine>());
}

}  // namespace perturb
