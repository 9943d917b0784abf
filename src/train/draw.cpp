#include "perturb/train/draw.h"

#include <cstddef>
#include <span>

#include <ATen/ATen.h>

namespace perturb {
namespace {

std::span<float> values(const at::Tensor& tensor) {
  return {tensor.data_ptr<float>(), static_cast<std::size_t>(tensor.numel())};
}

}  // namespace

at::Tensor draw_uniform(Random& random, const std::vector<std::int64_t>& shape) {
  auto tensor = at::empty(shape, at::kFloat);
  random.fill_uniform(values(tensor));
  return tensor;
}

at::Tensor draw_normal(Random& random, const std::vector<std::int64_t>& shape) {
  auto tensor = at::empty(shape, at::kFloat);
  random.fill_normal(values(tensor));
  return tensor;
}

at::Tensor draw_order(Random& random, std::int64_t n) {
  const auto order = random.permutation(static_cast<std::size_t>(n));
  return at::tensor(order, at::kLong);
}

}  // namespace perturb
