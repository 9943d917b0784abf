#include "transport/envelope.h"

#include <cmath>
#include <numeric>

#include <ATen/ATen.h>
#include <torch/csrc/autograd/custom_function.h>

namespace perturb::transport {
namespace {

using torch::autograd::AutogradContext;
using torch::autograd::variable_list;

/// Passes a value on, and remembers its slope in one argument.
class KnownSlope : public torch::autograd::Function<KnownSlope> {
 public:
  static Tensor forward(AutogradContext* context, const Tensor& value, const Tensor& /*argument*/,
                        const Tensor& slope) {
    context->save_for_backward({slope});
    return value.clone();
  }

  static variable_list backward(AutogradContext* context, const variable_list& upstream) {
    if (at::GradMode::is_enabled())
      reject("create_graph", "values of transport have first derivatives only");
    return {upstream[0], upstream[0] * context->get_saved_variables()[0], Tensor()};
  }
};

}  // namespace

bool wants_gradient(const Tensor& argument) {
  return argument.defined() && argument.requires_grad() && at::GradMode::is_enabled();
}

Tensor with_slopes(double value, const Tensor& like, const std::vector<Slope>& slopes) {
  auto out = at::full({}, value, like.options().requires_grad(false));
  for (const auto& [argument, slope] : slopes) {
    if (!wants_gradient(argument)) continue;
    out = KnownSlope::apply(out, argument, tensor_like(argument, slope, argument.sizes().vec()));
  }
  return out;
}

Doubles through_proportions(const Doubles& slope, const Doubles& weights) {
  const double total = std::accumulate(weights.begin(), weights.end(), 0.0);
  double mean = 0;
  for (std::size_t i = 0; i < slope.size(); ++i) {
    if (weights[i] > 0) mean += slope[i] * weights[i] / total;  // others may be infinite
  }
  Doubles out(slope.size());
  for (std::size_t i = 0; i < out.size(); ++i) out[i] = (slope[i] - mean) / total;
  return out;
}

Tensor root(const Tensor& value, double p) {
  if (p == 1) return value;
  if (!(value.item<double>() > 0)) return value * 0;
  return value.pow(1 / p);
}

}  // namespace perturb::transport
