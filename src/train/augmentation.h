// Random crops and flips of training images, as `[data]` says.
//
// Law: an example's crop and flip depend on seeds.augment, the epoch and its number in the training
// set alone: not on the batch it comes in, nor on whether the other of the two is asked for.
#pragma once

#include <cstdint>

#include <ATen/core/Tensor.h>

#include "perturb/experiment/condition.h"

namespace perturb {

class Augmentation {
 public:
  /// None.
  Augmentation() = default;
  explicit Augmentation(const Condition& condition);

  bool does_anything() const { return padding_ > 0 || flips_; }
  /// Images (n, channels, height, width) of the training examples `numbers` (int64, n), of so many
  /// in all, as they are in this epoch.
  at::Tensor operator()(const at::Tensor& images, const at::Tensor& numbers, std::int64_t epoch,
                        std::int64_t examples);

 private:
  void draw(std::int64_t epoch, std::int64_t examples, const at::Device& device);

  std::int64_t padding_ = 0;  ///< pixels of zeros on each side, out of which the image is cut
  bool flips_ = false;        ///< left and right, half of the time
  std::uint64_t seed_ = 0;

  // Of the epoch that was last asked for, by number; int64 but for the last.
  std::int64_t epoch_ = -1;
  at::Tensor top_;
  at::Tensor left_;
  at::Tensor flipped_;  ///< bool
};

}  // namespace perturb
