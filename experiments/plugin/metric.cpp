// A metric: a number that describes a state.
#include <perturb/plugin/plugin.h>
#include <perturb/train/metric.h>

using namespace perturb;

class LargestWeight final : public Metric {
 public:
  double measure(Observation& observed) override {
    return observed.state().parameters().abs().max().item<double>();
  }
};

PERTURB_PLUGIN(plugin) {
  plugin.metric({.name = "largest-weight",
                 .help = "Largest magnitude among all parameters.",
                 .label = "largest_weight"},  // what results call it
                [](const Parameters&) { return std::make_unique<LargestWeight>(); });
}
