#include "builtin/metrics.h"

#include <string>
#include <utility>

#include "builtin/builtins.h"
#include "perturb/core/error.h"

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

MetricFactory score(const std::string& name) {
  return [name](const Parameters& parameters) {
    return std::make_unique<Score>(name, parameters.at("on").as_string());
  };
}

}  // namespace

void add_metrics(Registries& registries) {
  registries.metrics.add("loss", score("loss"));
  registries.metrics.add("accuracy", score("accuracy"));
  add_state_metrics(registries);
  add_function_metrics(registries);
  add_curvature_metrics(registries);
  add_noise_metrics(registries);
  add_parameter_metrics(registries);
  add_sample_metrics(registries);
  add_network_metrics(registries);
}

}  // namespace perturb
