#include <string>
#include <utility>

#include <ATen/ATen.h>

#include "builtin/builtins.h"
#include "perturb/train/metric.h"

namespace perturb {
namespace {

/// One of the task's scores: loss, accuracy.
class Score final : public Metric {
 public:
  Score(std::string name, std::string part) : name_(std::move(name)), part_(std::move(part)) {}

  double measure(Observation& observed) override {
    const auto& scores = observed.scores(part_);
    const auto found = scores.find(name_);
    if (found == scores.end()) throw Error(ExitCode::Usage, "this task has no " + name_);
    return found->second;
  }

 private:
  std::string name_;
  std::string part_;
};

/// Summed in double precision, whatever the number of parameters.
double euclidean(const Tensor& vector) { return vector.to(at::kDouble).norm().item<double>(); }

class WeightNorm final : public Metric {
 public:
  double measure(Observation& observed) override {
    return euclidean(observed.state().parameters());
  }
};

class DistanceToInit final : public Metric {
 public:
  double measure(Observation& observed) override {
    return euclidean(observed.state().parameters() - observed.initial());
  }
};

MetricFactory score(const std::string& name) {
  return [name](const Parameters& parameters) {
    return std::make_unique<Score>(name, parameters.at("on").as_string());
  };
}

}  // namespace

void add_metrics(Registries& registries) {
  registries.metrics.add("loss", score("loss"));
  registries.metrics.add("accuracy", score("accuracy"));
  registries.metrics.add("weight-norm",
                         [](const Parameters&) { return std::make_unique<WeightNorm>(); });
  registries.metrics.add("distance", [](const Parameters& parameters) {
    const auto& to = parameters.at("to").as_string();
    if (to != "init") throw Error(ExitCode::Bug, "no factory makes the distance to " + to);
    return std::make_unique<DistanceToInit>();
  });
}

}  // namespace perturb
