#include "catalog/interventions.h"

namespace perturb {

void add_gradient_interventions(Schema& schema) {
  schema.add({
      .family = Family::Intervention,
      .name = "perturb-gradients",
      .help = "Adds normal noise to the gradient of every batch, each tensor g by itself.",
      .parameters =
          {
              {
                  .name = "epsilon",
                  .type = Type::Float,
                  .help = "How much; what it is relative to says relative_to. 0 changes nothing.",
                  .least = 0,
              },
              {
                  .name = "relative_to",
                  .type = Type::String,
                  .fallback = "norm",
                  .help = "norm: N(0, (epsilon |g| / sqrt(n))^2), n elements; none: N(0, "
                          "epsilon^2).",
                  .choices = {"norm", "none"},
              },
              noise_seed("noise"),
              parameters_by_name(),
          },
      .moment = Moment::WholeRun,
      .needs = {Feature::Gradients},
  });
  schema.add({
      .family = Family::Intervention,
      .name = "scale-gradients",
      .help = "Multiplies gradients before the optimizer sees them.",
      .parameters = {{
                         .name = "factor",
                         .type = Type::Float,
                         .help = "0 takes the gradient away, 1 changes nothing, -1 ascends.",
                     },
                     parameters_by_name()},
      .moment = Moment::WholeRun,
      .needs = {Feature::Gradients},
  });
  schema.add({
      .family = Family::Intervention,
      .name = "clip-gradients",
      .help = "Scales the gradients of a batch down to a norm if they are longer.",
      .parameters = {{
                         .name = "norm",
                         .type = Type::Float,
                         .help = "The longest that the selected gradients, taken as one vector, "
                                 "may be.",
                         .least = 0,
                         .above_least = true,
                     },
                     parameters_by_name()},
      .moment = Moment::WholeRun,
      .needs = {Feature::Gradients},
  });
  schema.add({
      .family = Family::Intervention,
      .name = "sign-gradients",
      .help = "Replaces every element of the gradient by its sign, -1, 0 or 1 (signSGD, Bernstein "
              "et al., 2018).",
      .parameters = {parameters_by_name()},
      .moment = Moment::WholeRun,
      .needs = {Feature::Gradients},
  });
}

}  // namespace perturb
