#include "perturb/train/small_linear.h"

#include <cstdint>
#include <vector>

#include <ATen/ATen.h>
#include <torch/csrc/autograd/custom_function.h>

#include "perturb/core/for_each_cpu.h"

namespace perturb {
namespace {

/// Weights of the largest layer. Beyond some thousand a BLAS is faster in spite of the call.
constexpr std::int64_t kMostWeights = 2048;

struct Sizes {
  std::int64_t n, in, out;
};

Sizes sizes_of(const Tensor& x, const Tensor& weight) {
  return {x.size(0), weight.size(1), weight.size(0)};
}

/// `across` is the weight's transpose, (in, out).
PERTURB_FOR_EACH_CPU
void forward(const Sizes& sizes, const float* x, const float* across, const float* bias, float* y) {
  const auto [n, in, out] = sizes;
  for (std::int64_t i = 0; i < n; ++i, x += in, y += out) {
    for (std::int64_t j = 0; j < out; ++j) y[j] = bias[j];
    for (std::int64_t k = 0; k < in; ++k) {
      for (std::int64_t j = 0; j < out; ++j) y[j] += x[k] * across[k * out + j];
    }
  }
}

/// The sums over examples, which have to be zero before.
PERTURB_FOR_EACH_CPU
void of_parameters(const Sizes& sizes, const float* x, const float* slopes, float* weight,
                   float* bias) {
  const auto [n, in, out] = sizes;
  for (std::int64_t i = 0; i < n; ++i, x += in, slopes += out) {
    for (std::int64_t j = 0; j < out; ++j) {
      bias[j] += slopes[j];
      for (std::int64_t k = 0; k < in; ++k) weight[j * in + k] += slopes[j] * x[k];
    }
  }
}

PERTURB_FOR_EACH_CPU
void of_inputs(const Sizes& sizes, const float* weight, const float* slopes, float* x) {
  const auto [n, in, out] = sizes;
  for (std::int64_t i = 0; i < n; ++i, x += in, slopes += out) {
    for (std::int64_t k = 0; k < in; ++k) x[k] = 0;
    for (std::int64_t j = 0; j < out; ++j) {
      for (std::int64_t k = 0; k < in; ++k) x[k] += slopes[j] * weight[j * in + k];
    }
  }
}

PERTURB_FOR_EACH_CPU
void add(std::int64_t count, const float* from, float* to) {
  for (std::int64_t i = 0; i < count; ++i) to[i] += from[i];
}

Tensor gradient_of_inputs(const Tensor& x, const Tensor& weight, const Tensor& slopes) {
  auto out = at::empty_like(x);
  of_inputs(sizes_of(x, weight), weight.data_ptr<float>(), slopes.data_ptr<float>(),
            out.data_ptr<float>());
  return out;
}

/// As LibTorch's graph wants it: one of three tensors.
class SmallLinear : public torch::autograd::Function<SmallLinear> {
 public:
  static Tensor forward(torch::autograd::AutogradContext* context, const Tensor& x,
                        const Tensor& weight, const Tensor& bias) {
    context->save_for_backward({x, weight});
    return small_forward(x, weight, bias);
  }

  static torch::autograd::variable_list backward(torch::autograd::AutogradContext* context,
                                                 const torch::autograd::variable_list& slopes_of) {
    const auto saved = context->get_saved_variables();
    const auto x = saved[0].contiguous(), weight = saved[1], slopes = slopes_of[0].contiguous();
    // Who wants the gradient's own history gets it from operations that have one.
    if (at::GradMode::is_enabled()) return {slopes.mm(weight), slopes.t().mm(x), slopes.sum(0)};
    auto of_weight = at::zeros_like(weight);
    auto of_bias = slopes.new_zeros({weight.size(0)});
    of_parameters(sizes_of(x, weight), x.data_ptr<float>(), slopes.data_ptr<float>(),
                  of_weight.data_ptr<float>(), of_bias.data_ptr<float>());
    Tensor of_x;
    if (context->needs_input_grad(0)) of_x = gradient_of_inputs(x, weight, slopes);
    return {of_x, of_weight, of_bias};
  }
};

}  // namespace

bool is_small(const Tensor& weight) {
  return weight.numel() <= kMostWeights && weight.is_cpu() && weight.scalar_type() == at::kFloat;
}

Tensor small_linear(const Tensor& x, const Tensor& weight, const Tensor& bias) {
  if (!at::GradMode::is_enabled()) return small_forward(x, weight, bias);
  return SmallLinear::apply(x, weight, bias);
}

Tensor small_forward(const Tensor& x, const Tensor& weight, const Tensor& bias) {
  const auto rows = x.contiguous();
  const auto sizes = sizes_of(rows, weight);
  auto y = at::empty({sizes.n, sizes.out}, rows.options());
  float across[kMostWeights];
  const float* w = weight.data_ptr<float>();
  for (std::int64_t j = 0; j < sizes.out; ++j) {
    for (std::int64_t k = 0; k < sizes.in; ++k) across[k * sizes.out + j] = w[j * sizes.in + k];
  }
  forward(sizes, rows.data_ptr<float>(), across, bias.data_ptr<float>(), y.data_ptr<float>());
  return y;
}

Tensor small_backward(const Tensor& x, const Tensor& weight, const Tensor& slopes,
                      const Tensor& weight_gradient, const Tensor& bias_gradient, bool wants_x) {
  const auto sizes = sizes_of(x, weight);
  // Summed by itself and then added, as LibTorch does.
  std::vector<float> sums(static_cast<std::size_t>(weight.numel() + sizes.out));
  float* of_bias = sums.data() + weight.numel();
  of_parameters(sizes, x.data_ptr<float>(), slopes.data_ptr<float>(), sums.data(), of_bias);
  add(weight.numel(), sums.data(), weight_gradient.data_ptr<float>());
  add(sizes.out, of_bias, bias_gradient.data_ptr<float>());
  return wants_x ? gradient_of_inputs(x, weight, slopes) : Tensor();
}

}  // namespace perturb
