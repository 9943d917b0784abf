#include "catalog/interventions.h"

namespace perturb {
namespace {

/// Acts on what training sees; metrics see the data as they are.
Component on_examples(std::string name, std::string help, std::vector<Parameter> parameters,
                      std::vector<Feature> needs) {
  return {
      .family = Family::Intervention,
      .name = std::move(name),
      .help = std::move(help),
      .parameters = std::move(parameters),
      .moment = Moment::WholeRun,
      .needs = std::move(needs),
  };
}

}  // namespace

void add_example_interventions(Schema& schema) {
  schema.add(
      on_examples("label-noise",
                  "Trains some examples with the label of another class, the same one every time.",
                  {fraction("Share of the training examples, rounded to whole ones."),
                   noise_seed("examples and labels")},
                  {Feature::Examples, Feature::Labels}));
  schema.add(on_examples("input-noise",
                         "Adds normal noise to the inputs of training, fresh for every batch.",
                         {{
                              .name = "epsilon",
                              .type = Type::Float,
                              .help = "Standard deviation, in units of the inputs (pixels are "
                                      "in [0, 1]). 0 changes nothing.",
                              .least = 0,
                          },
                          noise_seed("noise")},
                         {Feature::Examples}));
  schema.add(on_examples(
      "subset-examples",
      "Trains on a random part of the examples. The places of the others in the batches are taken "
      "by random ones of those that stay, so that steps and batch sizes are the control's.",
      {{
           .name = "fraction",
           .type = Type::Float,
           .help = "Share of the training examples that stays; at least one does. 1 changes "
                   "nothing.",
           .least = 0,
           .most = 1,
           .above_least = true,
       },
       noise_seed("examples")},
      {Feature::Examples}));
  schema.add(on_examples(
      "drop-classes",
      "Trains without some classes. The places of their examples in the batches are taken by "
      "random ones of the others, so that steps and batch sizes are the control's.",
      {{
           .name = "classes",
           .type = Type::IntList,
           .help = "Their numbers, from 0; [] changes nothing.",
           .least = 0,
       },
       noise_seed("examples in their places")},
      {Feature::Examples, Feature::Labels}));
  schema.add(on_examples(
      "reorder-examples",
      "Goes through the examples of an epoch in another order. Another random one is "
      "set.seeds.shuffle.",
      {{
          .name = "order",
          .type = Type::String,
          .help = "by-class: class after class, within a class as shuffled; reverse: the "
                  "control's order backwards; first-epoch: in every epoch that of the first.",
          .choices = {"by-class", "reverse", "first-epoch"},
      }},
      {Feature::Examples, Feature::Labels}));
}

}  // namespace perturb
