// A task: what is learnt. Here, least squares on one-hot targets instead of cross entropy.
#include <ATen/ATen.h>
#include <perturb/plugin/plugin.h>
#include <perturb/train/supervised.h>

using namespace perturb;

class LeastSquares final : public Supervised {
 protected:
  Tensor losses(const Tensor& outputs, const Tensor& targets) override {
    return (outputs - at::one_hot(targets, outputs.size(1))).square().mean(1);
  }
};

PERTURB_PLUGIN(plugin) {
  plugin.task({.name = "least-squares",
               .help = "Mean square of the outputs' distance from 1 for the class, 0 for others.",
               .has = Supervised::features()},
              [](const Condition&) { return std::make_unique<LeastSquares>(); });
}
