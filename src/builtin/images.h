// What `[data]` makes of images once and for all, before training: their size, channels and range.
#pragma once

#include "perturb/experiment/condition.h"
#include "perturb/train/dataset.h"

namespace perturb {

/// Images (n, channels, height, width) of bytes scaled to `side` x `side` by a triangle filter that
/// widens with the reduction (bilinear, antialiased), first across, then down, rounded to bytes
/// after each: to the bit what PIL makes of images, and torchvision of image files.
Tensor resized(const Tensor& images, std::int64_t side);

/// As data.resize, data.channels, data.mean and data.std say.
Dataset prepared(Dataset images, const Condition& condition);

}  // namespace perturb
