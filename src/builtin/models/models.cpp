#include "builtin/models/models.h"

#include <string>

#include "builtin/builtins.h"
#include "perturb/core/error.h"

namespace perturb {

void require_images(const Condition& condition, const DataShape& shape, std::int64_t least) {
  const auto& input = shape.input;
  if (input.size() == 3 && input[1] >= least && input[2] >= least) return;
  const auto side = std::to_string(least);
  const auto size = least > 1 ? " of " + side + " x " + side + " pixels or more" : std::string();
  throw Error(ExitCode::Usage,
              condition.text("model.kind") + " takes images" + size + ", which the examples of " +
                  condition.text("data.kind") + " are not",
              "use another model, such as mlp, or image data");
}

void add_models(Registries& registries) {
  add_mlps(registries);
  add_distributions(registries);
  add_lenet5(registries);
  add_cnn(registries);
  add_residual_networks(registries);
  add_vision_transformers(registries);
  add_flows(registries);
}

}  // namespace perturb
