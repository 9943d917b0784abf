// Anderson's acceleration of a fixed-point iteration x <- T(x): the next point is the combination
// of the last images whose residuals cancel best.
//
// Walker and Ni, Anderson acceleration for fixed-point iterations (2011).
#pragma once

#include <cstddef>
#include <deque>
#include <vector>

namespace perturb::transport {

class Anderson {
 public:
  /// Residuals are measured with `weights` (not negative, of sum one). With `up_to_a_constant`,
  /// adding the same number everywhere is no change.
  Anderson(const std::vector<double>& weights, bool up_to_a_constant)
      : weights_(weights), up_to_a_constant_(up_to_a_constant) {}

  /// Where to go on after T(point) = image.
  std::vector<double> next(const std::vector<double>& point, const std::vector<double>& image);
  void forget();

 private:
  double product(const std::vector<double>& u, const std::vector<double>& v) const;

  const std::vector<double>& weights_;
  bool up_to_a_constant_;
  // Differences of successive images and residuals, the newest last.
  std::deque<std::vector<double>> images_, residuals_;
  std::vector<double> last_image_, last_residual_;
};

}  // namespace perturb::transport
