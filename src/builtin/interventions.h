// The factories of interventions in parts, and what they share.
#pragma once

#include <memory>
#include <string>

#include "perturb/core/random.h"
#include "perturb/train/intervention.h"
#include "perturb/train/registries.h"

namespace perturb {

void add_weight_interventions(Registries& registries);
void add_gradient_interventions(Registries& registries);
void add_activation_interventions(Registries& registries);
void add_example_interventions(Registries& registries);

template <class Kind>
InterventionFactory made() {
  return [](const Parameters& parameters, const Condition& condition) {
    return std::make_unique<Kind>(parameters, condition);
  };
}

/// The address of an intervention's draws: stream seeds.noise, and "<kind>/<seed>/<of what>".
class Draws {
 public:
  Draws(const std::string& kind, const Parameters& parameters, const Condition& condition)
      : seed_(static_cast<std::uint64_t>(condition.integer("seeds.noise"))),
        purpose_(kind + "/" + std::to_string(parameters.at("seed").as_int()) + "/") {}

  /// The same at every step.
  Random of(const std::string& what) const { return {seed_, purpose_ + what}; }
  Random of(const std::string& what, std::int64_t step) const {
    return {seed_, purpose_ + what, static_cast<std::uint64_t>(step)};
  }

 private:
  std::uint64_t seed_;
  std::string purpose_;
};

}  // namespace perturb
