#include "perturb/builtin/builtins.h"

#include "builtin/builtins.h"

namespace perturb {

void add_builtins(Registries& registries) {
  add_tasks(registries);
  add_models(registries);
  add_data_sets(registries);
  add_optimizers(registries);
  add_schedules(registries);
  add_interventions(registries);
  add_metrics(registries);
}

}  // namespace perturb
