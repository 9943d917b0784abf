#include "perturb/catalog/catalog.h"

#include "catalog/families.h"

namespace perturb {

Schema builtin_schema() {
  Schema schema;
  add_models(schema);
  add_data_sets(schema);
  add_sample_data(schema);
  add_training(schema);
  add_fits(schema);
  add_interventions(schema);
  add_metrics(schema);
  add_sample_metrics(schema);
  add_plots(schema);
  return schema;
}

}  // namespace perturb
