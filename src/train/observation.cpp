#include "perturb/core/error.h"
#include "perturb/train/metric.h"

namespace perturb {

const Scores& Observation::scores(const std::string& part) {
  if (const auto found = scores_.find(part); found != scores_.end()) return found->second;
  if (part != "train" && part != "test") throw Error(ExitCode::Bug, "there is no part " + part);
  const auto& examples = part == "train" ? data_.train : data_.test;
  return scores_.emplace(part, task_.evaluate(examples)).first->second;
}

}  // namespace perturb
