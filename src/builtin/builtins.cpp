#include "perturb/builtin/builtins.h"

#include "builtin/builtins.h"
#include "builtin/interventions.h"

namespace perturb {

void add_builtins(Registries& registries) {
  add_tasks(registries);
  add_models(registries);
  add_data_sets(registries);
  add_sample_data(registries);
  add_optimizers(registries);
  add_schedules(registries);
  add_weight_interventions(registries);
  add_gradient_interventions(registries);
  add_activation_interventions(registries);
  add_example_interventions(registries);
  add_metrics(registries);
}

}  // namespace perturb
