// Notices the step at which a loss or a parameter stops being finite, without waiting for the
// device at every step: on a GPU that would stall it.
#pragma once

#include <cstddef>
#include <optional>
#include <vector>

#include <ATen/core/Tensor.h>

namespace perturb {

class FiniteWatch {
 public:
  explicit FiniteWatch(bool on_cpu) : room_(on_cpu ? 1 : 64) {}

  /// The loss of a step, a scalar, and the parameters after it.
  void add(const at::Tensor& loss, const at::Tensor& parameters);
  /// Time to look. Looking earlier is allowed and empties the watch as well.
  bool is_full() const { return seen_.size() >= room_; }
  /// Counted back from the last step added (1), the first that was not finite, if any was.
  std::optional<std::size_t> first_not_finite();
  /// Of what was last looked at.
  float last_loss() const { return last_loss_; }

 private:
  std::size_t room_;
  std::vector<at::Tensor> seen_;
  float last_loss_ = 0;
};

}  // namespace perturb
