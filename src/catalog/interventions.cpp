#include "catalog/interventions.h"

#include "catalog/families.h"

namespace perturb {

void add_interventions(Schema& schema) {
  schema.add({
      .family = Family::Intervention,
      .name = "set",
      .help = "Gives fields of the condition other values, for the whole run or in windows of "
              "steps; afterwards the exact former value is back. Another optimizer starts with "
              "what it remembers at zero.",
      .moment = Moment::WholeRun,
  });
  add_weight_interventions(schema);
  add_gradient_interventions(schema);
  add_activation_interventions(schema);
  add_example_interventions(schema);
}

}  // namespace perturb
