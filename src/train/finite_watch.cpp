#include "train/finite_watch.h"

#include <algorithm>
#include <cmath>
#include <cstdint>

#include <ATen/ATen.h>

namespace perturb {
namespace {

/// So few that looking at each costs less than an operation on all.
constexpr std::int64_t kFew = 4096;

bool are_few_and_finite(const at::Tensor& parameters) {
  if (parameters.numel() > kFew || !parameters.is_cpu()) return false;
  const float* values = parameters.data_ptr<float>();
  return std::all_of(values, values + parameters.numel(), [](float x) { return std::isfinite(x); });
}

}  // namespace

void FiniteWatch::add(const at::Tensor& loss, const at::Tensor& parameters) {
  const at::AutoDispatchBelowADInplaceOrView no_history;
  if (are_few_and_finite(parameters)) return seen_.push_back(loss);
  // The sum is finite only if every parameter is (or all together are beyond 1e38, which is no
  // better), and costs a few microseconds; times 0 it leaves a finite loss as it was.
  seen_.push_back(loss.add(parameters.sum(), 0));
}

std::optional<std::size_t> FiniteWatch::first_not_finite() {
  if (seen_.empty()) return {};
  const auto losses = (seen_.size() == 1 ? seen_[0].reshape({1}) : at::stack(seen_)).cpu();
  seen_.clear();
  const auto* values = losses.data_ptr<float>();
  const auto count = static_cast<std::size_t>(losses.numel());
  last_loss_ = values[count - 1];
  for (std::size_t i = 0; i < count; ++i) {
    if (!std::isfinite(values[i])) return count - i;
  }
  return {};
}

}  // namespace perturb
