// The descriptions of interventions in parts, and the parameters that they share.
#pragma once

#include "perturb/experiment/schema.h"

namespace perturb {

void add_weight_interventions(Schema& schema);
void add_gradient_interventions(Schema& schema);
void add_activation_interventions(Schema& schema);
void add_example_interventions(Schema& schema);

inline Parameter noise_seed(std::string which) {
  return {
      .name = "seed",
      .type = Type::Int,
      .fallback = 0,
      .help = "Which " + which + "; drawn from the stream seeds.noise.",
      .least = 0,
  };
}

inline Parameter parameters_by_name(std::string fallback = "*") {
  return {
      .name = "layers",
      .type = Type::String,
      .fallback = std::move(fallback),
      .help =
          "Only parameters whose name matches; * stands for any characters: \"conv1.*\", "
          "\"*.weight\".",
      .selects = Selects::Tensors,
  };
}

inline Parameter points_by_name() {
  return {
      .name = "layers",
      .type = Type::String,
      .help =
          "Only at points of the forward pass whose name matches; * stands for any "
          "characters: \"act1\", \"conv*\".",
      .selects = Selects::Points,
  };
}

inline Parameter fraction(std::string help) {
  return {
      .name = "fraction",
      .type = Type::Float,
      .help = std::move(help),
      .least = 0,
      .most = 1,
  };
}

}  // namespace perturb
