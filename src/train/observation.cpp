#include <ATen/ATen.h>

#include "perturb/core/error.h"
#include "perturb/train/metric.h"

namespace perturb {

Tensor Task::loss(const Examples&, Pass&) {
  throw Error(ExitCode::Bug, "the task has no loss of parameters and examples alone");
}

Tensor Task::outputs(const Tensor&, Pass&) {
  throw Error(ExitCode::Bug, "the task predicts no classes");
}

Moved::Moved(const FlatState& state)
    : state_(state), parameters_(state.parameters().clone()), buffers_(state.buffers().clone()) {}

Moved::~Moved() { to(parameters_, buffers_); }

void Moved::to(const Tensor& parameters, const Tensor& buffers) const {
  const at::NoGradGuard no_gradients;
  state_.parameters().copy_(parameters);
  state_.buffers().copy_(buffers);
}

ExampleSet Observation::examples(const std::string& part, std::int64_t examples) const {
  if (part != "train" && part != "test") throw Error(ExitCode::Bug, "there is no part " + part);
  const auto& all = part == "train" ? data_.train : data_.test;
  return examples > 0 && examples < all.size() ? all.first(examples) : all;
}

const Scores& Observation::scores(const std::string& part) {
  if (const auto found = scores_.find(part); found != scores_.end()) return found->second;
  return scores_.emplace(part, self_.task.evaluate(examples(part))).first->second;
}

const std::vector<double>& Observation::once(const std::string& name,
                                             const std::function<std::vector<double>()>& compute) {
  if (const auto found = computed_.find(name); found != computed_.end()) return found->second;
  return computed_.emplace(name, compute()).first->second;
}

}  // namespace perturb
