// Metrics of the samples of a generator, and of what its critic makes of them. Samples are fresh:
// noise of an address of their own, which no step of training ever sees.
#include <algorithm>
#include <cmath>
#include <functional>
#include <string>
#include <vector>

#include <ATen/ATen.h>
#include <torch/csrc/autograd/autograd.h>

#include "builtin/critic.h"
#include "builtin/metrics.h"
#include "perturb/core/error.h"
#include "perturb/train/generative.h"
#include "perturb/transport/assignment.h"
#include "perturb/transport/congested.h"
#include "perturb/transport/cost.h"
#include "perturb/transport/density.h"
#include "perturb/transport/discrete.h"
#include "perturb/transport/divergence.h"

namespace perturb {
namespace {

/// How many samples of which noise.
class Fresh {
 public:
  explicit Fresh(const Parameters& parameters)
      : count_(parameters.at("samples").as_int()),
        seed_(static_cast<std::uint64_t>(parameters.at("seed").as_int())) {}

  std::int64_t count() const { return count_; }
  Tensor of(const Subject& subject) const {
    Random random(seed_, "measure/samples");
    return generative(subject.task).samples(count_, random);
  }
  std::string address() const { return std::to_string(count_) + "/" + std::to_string(seed_); }

 private:
  std::int64_t count_;
  std::uint64_t seed_;
};

double number(const Parameters& parameters, const char* name) {
  return parameters.at(name).as_float();
}

/// Points of the examples, (n, d), of one class or of all.
Tensor points_of(const ExampleSet& examples, std::int64_t domain = -1) {
  const auto all = examples.range(0, examples.size());
  const auto points = all.inputs.flatten(1);
  if (domain < 0) return points;
  const auto some = points.index_select(0, all.targets.eq(domain).nonzero().flatten());
  if (some.size(0) == 0)
    throw Error(ExitCode::Usage, "no example is of domain = " + std::to_string(domain));
  return some;
}

/// A metric of fresh samples and examples.
class Apart : public Metric {
 public:
  explicit Apart(const Parameters& parameters)
      : fresh_(parameters),
        on_(parameters.at("on").as_string()),
        domain_(parameters.at("domain").as_int()) {}

  double measure(Observation& observed) final {
    return compare(fresh_.of(observed.self()), points_of(observed.examples(on_), domain_));
  }

 protected:
  virtual double compare(const Tensor& samples, const Tensor& examples) = 0;

 private:
  Fresh fresh_;
  std::string on_;
  std::int64_t domain_;
};

/// Wp, exactly.
class Wasserstein final : public Apart {
 public:
  explicit Wasserstein(const Parameters& parameters)
      : Apart(parameters), p_(static_cast<double>(parameters.at("p").as_int())) {}

 private:
  double compare(const Tensor& samples, const Tensor& examples) override {
    const auto x = samples.to(at::kDouble), y = examples.to(at::kDouble);
    const auto costs = transport::distance_powers(x, y, p_);
    const auto n = x.size(0), m = y.size(0);
    if (n == m) return std::pow(transport::assign(costs).cost / static_cast<double>(n), 1 / p_);
    const auto plan = transport::discrete_transport(at::ones({n}, at::kDouble),
                                                    at::ones({m}, at::kDouble), costs);
    return std::pow(plan.cost.item<double>(), 1 / p_);
  }

  double p_;
};

class SinkhornDivergence final : public Apart {
 public:
  explicit SinkhornDivergence(const Parameters& parameters) : Apart(parameters) {
    options_.p = static_cast<int>(parameters.at("p").as_int());
    options_.blur = number(parameters, "blur");
  }

 private:
  double compare(const Tensor& samples, const Tensor& examples) override {
    return transport::sinkhorn_divergence({samples, {}}, {examples, {}}, options_)
        .value.item<double>();
  }

  transport::DivergenceOptions options_;
};

/// How many of the examples' classes have their share of samples near them.
class ModeCoverage final : public Metric {
 public:
  explicit ModeCoverage(const Parameters& parameters)
      : fresh_(parameters),
        on_(parameters.at("on").as_string()),
        radius_(number(parameters, "radius")),
        share_(number(parameters, "share")) {}

  double measure(Observation& observed) override {
    const auto examples = observed.examples(on_);
    const auto all = examples.range(0, examples.size());
    const auto points = all.inputs.flatten(1).to(at::kDouble);
    const auto samples = fresh_.of(observed.self()).to(at::kDouble);
    const auto classes = all.targets.max().item<std::int64_t>() + 1;
    double covered = 0;
    for (std::int64_t k = 0; k < classes; ++k) {
      const auto mode = points.index_select(0, all.targets.eq(k).nonzero().flatten());
      if (mode.size(0) == 0) continue;
      const auto centre = mode.mean(0);
      const auto spread = (mode - centre).square().sum(1).mean().sqrt();
      const auto near = (samples - centre).norm(2, 1) <= radius_ * spread;
      const double wanted =
          share_ * static_cast<double>(mode.size(0)) / static_cast<double>(points.size(0));
      if (near.to(at::kDouble).mean().item<double>() >= wanted) ++covered;
    }
    return covered;
  }

 private:
  Fresh fresh_;
  std::string on_;
  double radius_, share_;
};

/// grad u at points (n, d).
Tensor critic_gradient(const Subject& subject, const Tensor& points) {
  const at::AutoGradMode history(true);
  const auto x = points.detach().clone().requires_grad_(true);
  return torch::autograd::grad({generative(subject.task).potential(x).sum()}, {x})[0];
}

/// Samples with what transport makes of them: the critic's gradient and the density.
struct Traffic {
  Tensor samples;   ///< (n, d)
  Tensor gradient;  ///< (n, d), double
  Tensor density;   ///< (n), double: each without itself
};

using Summary = std::function<double(const Traffic&, const transport::Congestion&)>;

class OfTraffic final : public Metric {
 public:
  OfTraffic(const Parameters& parameters, Summary summary)
      : fresh_(parameters), summary_(std::move(summary)) {
    if (const auto penalty = parameters.find("penalty"); penalty != parameters.end())
      congestion_ = transport::Congestion::of_penalty(penalty->second.as_float());
    if (const auto width = parameters.find("bandwidth"); width != parameters.end())
      bandwidth_ = width->second.as_float();
  }

  double measure(Observation& observed) override {
    const auto samples = fresh_.of(observed.self());
    Traffic traffic = {samples, {}, {}};
    traffic.gradient = critic_gradient(observed.self(), samples).to(at::kDouble);
    traffic.density = transport::leave_one_out_density(samples.to(at::kDouble), bandwidth_);
    return summary_(traffic, congestion_);
  }

 private:
  Fresh fresh_;
  Summary summary_;
  transport::Congestion congestion_;
  double bandwidth_ = 0.15;
};

double steep_share(const Traffic& traffic, const transport::Congestion&) {
  return (row_norms(traffic.gradient) > 1).to(at::kDouble).mean().item<double>();
}

Tensor intensities(const Traffic& traffic, const transport::Congestion& congestion) {
  return transport::congestion_intensity(row_norms(traffic.gradient), traffic.density, congestion);
}

double mean_intensity(const Traffic& traffic, const transport::Congestion& congestion) {
  return intensities(traffic, congestion).mean().item<double>();
}

/// The integral of H(x, i(x)) dx, as the mean of H / sigma over samples of the density sigma.
double mean_cost(const Traffic& traffic, const transport::Congestion& congestion) {
  const auto there = (traffic.density > 0).nonzero().flatten();
  if (there.numel() == 0) return 0;
  const Traffic some = {traffic.samples.index_select(0, there),
                        traffic.gradient.index_select(0, there),
                        traffic.density.index_select(0, there)};
  const auto costs =
      transport::congestion_cost(intensities(some, congestion), some.density, congestion);
  return (costs / some.density).sum().item<double>() / static_cast<double>(traffic.density.numel());
}

/// The mean density of samples at each other.
class SampleDensity final : public Metric {
 public:
  explicit SampleDensity(const Parameters& parameters)
      : fresh_(parameters), bandwidth_(number(parameters, "bandwidth")) {}

  double measure(Observation& observed) override {
    const auto samples = fresh_.of(observed.self()).to(at::kDouble);
    return transport::leave_one_out_density(samples, bandwidth_).mean().item<double>();
  }

 private:
  Fresh fresh_;
  double bandwidth_;
};

/// The flow of the critic in the plane, at any points: -lambda sigma (|grad u| - 1)_+ grad u /
/// |grad u|, sigma the density of samples and examples together, between which it flows.
class Flow {
 public:
  explicit Flow(const Parameters& parameters)
      : fresh_(parameters),
        on_(parameters.at("on").as_string()),
        congestion_(transport::Congestion::of_penalty(number(parameters, "penalty"))),
        bandwidth_(number(parameters, "bandwidth")) {}

  struct Field {
    Tensor flow;    ///< (n, 2), double
    Tensor excess;  ///< (n): the density of examples less that of samples
  };

  Field at(Observation& observed, const Tensor& points) const {
    const auto samples = fresh_.of(observed.self()).to(at::kDouble);
    const auto examples = points_of(observed.examples(on_)).to(at::kDouble);
    if (samples.size(1) != 2)
      throw Error(ExitCode::Usage, "a flow in the plane needs points of two coordinates");
    const auto from = transport::kernel_density(points, examples, bandwidth_);
    const auto to = transport::kernel_density(points, samples, bandwidth_);
    const auto gradient = critic_gradient(observed.self(), points.to(at::kFloat)).to(at::kDouble);
    return {transport::optimal_traffic(gradient, (from + to) / 2, congestion_), from - to};
  }

 private:
  Fresh fresh_;
  std::string on_;
  transport::Congestion congestion_;
  double bandwidth_;
};

/// One component of the flow at one place.
class FlowAt final : public Metric {
 public:
  explicit FlowAt(const Parameters& parameters)
      : flow_(parameters),
        x_(number(parameters, "x")),
        y_(number(parameters, "y")),
        component_(parameters.at("component").as_string() == "across" ? 0 : 1) {}

  double measure(Observation& observed) override {
    const auto place = at::tensor({x_, y_}, at::kDouble).view({1, 2});
    return flow_.at(observed, place).flow[0][component_].item<double>();
  }

 private:
  Flow flow_;
  double x_, y_;
  std::int64_t component_;
};

class FlowResidual final : public Metric {
 public:
  explicit FlowResidual(const Parameters& parameters)
      : flow_(parameters),
        grid_{.left = number(parameters, "left"),
              .right = number(parameters, "right"),
              .bottom = number(parameters, "bottom"),
              .across = parameters.at("cells").as_int(),
              .up = parameters.at("cells").as_int()} {}

  double measure(Observation& observed) override {
    const auto field = flow_.at(observed, transport::cell_middles(grid_));
    return transport::divergence_residual(field.flow, field.excess, grid_);
  }

 private:
  Flow flow_;
  transport::PlaneGrid grid_;
};

/// The share of the critic's weights and biases in an interval.
class CriticWeights final : public Metric {
 public:
  explicit CriticWeights(const Parameters& parameters)
      : at_(number(parameters, "at")), width_(number(parameters, "width")) {}

  double measure(Observation& observed) override {
    std::int64_t inside = 0, all = 0;
    for (const auto& weight : generative(observed.self().task).critic_weights()) {
      const auto w = weight.detach().to(at::kDouble);
      const auto there = (w >= at_ - width_ / 2).logical_and(w < at_ + width_ / 2);
      inside += there.sum().item<std::int64_t>();
      all += w.numel();
    }
    return static_cast<double>(inside) / static_cast<double>(all);
  }

 private:
  double at_, width_;
};

/// One coordinate of one point, so that plots can be made of points.
class PointCoordinate final : public Metric {
 public:
  explicit PointCoordinate(const Parameters& parameters)
      : of_(parameters.at("of").as_string()),
        index_(parameters.at("index").as_int()),
        coordinate_(parameters.at("coordinate").as_int()),
        seed_(static_cast<std::uint64_t>(parameters.at("seed").as_int())) {}

  double measure(Observation& observed) override {
    if (of_ == "train" || of_ == "test") return entry(points_of(observed.examples(of_)));
    const auto subject = of_ == "init" ? observed.other("init") : observed.self();
    Random random(seed_, "measure/point", static_cast<std::uint64_t>(index_));
    return entry(generative(subject.task).samples(1, random), 0);
  }

 private:
  double entry(const Tensor& points) const {
    if (index_ >= points.size(0))
      throw Error(ExitCode::Usage, "index = " + std::to_string(index_) +
                                       " is too large: there are " +
                                       std::to_string(points.size(0)) + " examples");
    return entry(points, index_);
  }
  double entry(const Tensor& points, std::int64_t row) const {
    if (coordinate_ >= points.size(1))
      throw Error(ExitCode::Usage, "coordinate = " + std::to_string(coordinate_) +
                                       " is too large: points have " +
                                       std::to_string(points.size(1)));
    return points[row][coordinate_].item<double>();
  }

  std::string of_;
  std::int64_t index_, coordinate_;
  std::uint64_t seed_;
};

MetricFactory of_traffic(const Summary& summary) {
  return [summary](const Parameters& parameters) {
    return std::make_unique<OfTraffic>(parameters, summary);
  };
}

}  // namespace

void add_sample_metrics(Registries& registries) {
  auto& metrics = registries.metrics;
  metrics.add("wasserstein", measured<Wasserstein>());
  metrics.add("sinkhorn-divergence", measured<SinkhornDivergence>());
  metrics.add("mode-coverage", measured<ModeCoverage>());
  metrics.add("sample-density", measured<SampleDensity>());
  metrics.add("point", measured<PointCoordinate>());
  metrics.add("critic-steepness", of_traffic(steep_share));
  metrics.add("traffic-intensity", of_traffic(mean_intensity));
  metrics.add("congestion-cost", of_traffic(mean_cost));
  metrics.add("traffic", measured<FlowAt>());
  metrics.add("divergence-residual", measured<FlowResidual>());
  metrics.add("critic-weights", measured<CriticWeights>());
}

}  // namespace perturb
