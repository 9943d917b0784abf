// An intervention: a disturbance of training. At by = 0 it changes no bit.
#include <perturb/plugin/plugin.h>
#include <perturb/train/intervention.h>

using namespace perturb;

class ShrinkWeights final : public Intervention {
 public:
  explicit ShrinkWeights(double by) : by_(by) {}
  void perturb(FlatState& state, const Instant&) override { state.parameters().mul_(1 - by_); }

 private:
  double by_;
};

PERTURB_PLUGIN(plugin) {
  plugin.intervention(
      {.name = "shrink-weights",
       .help = "Multiplies all parameters by 1 - by: once at init, or before each step of `when`.",
       .parameters = {{.name = "by", .help = "Share that is taken away.", .least = 0, .most = 1}},
       .needs = {Feature::Weights}},
      [](const Parameters& parameters, const Condition&) {
        return std::make_unique<ShrinkWeights>(parameters.at("by").as_float());
      });
}
