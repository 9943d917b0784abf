#include "perturb/weights/flow_matching.h"

#include <algorithm>
#include <array>
#include <vector>

#include <ATen/ATen.h>

#include "perturb/core/error.h"
#include "perturb/transport/assignment.h"

namespace perturb::weights {

at::Tensor draw_times(Random& random, Times times, std::int64_t n) {
  std::vector<float> drawn;
  for (std::int64_t i = 0; i < n; ++i) {
    if (times == Times::Uniform) {
      drawn.push_back(random.uniform());
      continue;
    }
    // Of a + b - 1 uniform draws the a-th smallest is Beta(a, b).
    std::array<float, 6> six{};
    for (auto& x : six) x = random.uniform();
    std::nth_element(six.begin(), six.begin() + 1, six.end());
    drawn.push_back(six[1]);
  }
  return at::tensor(drawn, at::kFloat);
}

at::Tensor on_the_path(const at::Tensor& x0, const at::Tensor& x1, const at::Tensor& times,
                       const at::Tensor& noise, double sigma) {
  const auto t = times.unsqueeze(1);
  return (1 - t) * x0 + t * x1 + sigma * noise;
}

at::Tensor nearest_pairs(const at::Tensor& x0, const at::Tensor& x1) {
  if (x0.dim() != 2 || x0.sizes() != x1.sizes())
    throw Error(ExitCode::Usage, "pairs are made of as many points of one dimension");
  // |x - y|^2 = |x|^2 + |y|^2 - 2 <x, y>, of which only the products depend on the pairing.
  const auto products = x0.to(at::kDouble).matmul(x1.to(at::kDouble).t());
  return transport::assign(products, {.maximise = true}).columns;
}

}  // namespace perturb::weights
