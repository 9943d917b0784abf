// A model: two layers with a sine between them.
#include <perturb/plugin/plugin.h>
#include <perturb/train/dataset.h>
#include <perturb/train/initialise.h>
#include <perturb/train/layers.h>

using namespace perturb;

struct Sines final : Model {
  Sines(std::int64_t in, std::int64_t hidden, std::int64_t classes)
      : fc1(*this, "fc1", in, hidden), fc2(*this, "fc2", hidden, classes) {}
  Tensor forward(const Tensor& inputs, Pass& pass) override {
    return pass("fc2", fc2(pass("act1", fc1(inputs.flatten(1)).sin())));  // names points
  }
  Linear fc1, fc2;
};

PERTURB_PLUGIN(plugin) {
  Parameter hidden{.name = "hidden", .type = Type::Int, .fallback = 32, .help = "Hidden units."};
  plugin.model({.name = "sines",
                .help = "Two layers with a sine between them.",
                .parameters = model_parameters({hidden})},
               [](const Condition& trial, const DataShape& data) {
                 auto model = std::make_unique<Sines>(data.input[0], trial.integer("model.hidden"),
                                                      data.classes);
                 initialise(*model, trial);
                 return model;
               });
}
