#include "train/augmentation.h"

#include <cstddef>
#include <vector>

#include <ATen/ATen.h>
#include <ATen/TensorIndexing.h>

#include "perturb/core/random.h"

namespace perturb {

Augmentation::Augmentation(const Condition& condition)
    : seed_(static_cast<std::uint64_t>(condition.integer("seeds.augment"))) {
  // Data that are no images have neither.
  if (const auto* padding = condition.find("data.crop_padding")) padding_ = padding->as_int();
  if (const auto* flips = condition.find("data.flip")) flips_ = flips->as_bool();
}

void Augmentation::draw(std::int64_t epoch, std::int64_t examples, const at::Device& device) {
  const auto n = static_cast<std::size_t>(examples);
  const auto places = static_cast<std::uint64_t>(2 * padding_ + 1);
  std::vector<std::int64_t> top(n);
  std::vector<std::int64_t> left(n);
  std::vector<std::int64_t> flipped(n);
  Random random(seed_, "augment", static_cast<std::uint64_t>(epoch));
  // Three words an example whatever they are used for: a crop stays where it is when flips come.
  const auto place = [&] { return static_cast<std::int64_t>((random.bits() * places) >> 32); };
  for (std::size_t i = 0; i < n; ++i) {
    top[i] = place();
    left[i] = place();
    flipped[i] = random.bits() >> 31;
  }
  const auto there = [&](const std::vector<std::int64_t>& values) {
    return at::tensor(values, at::kLong).to(device);
  };
  top_ = there(top);
  left_ = there(left);
  flipped_ = there(flipped).to(at::kBool);
  epoch_ = epoch;
}

at::Tensor Augmentation::operator()(const at::Tensor& images, const at::Tensor& numbers,
                                    std::int64_t epoch, std::int64_t examples) {
  if (epoch != epoch_) draw(epoch, examples, images.device());
  const auto n = images.size(0);
  const auto channels = images.size(1);
  const auto height = images.size(2);
  const auto width = images.size(3);
  const auto whole = numbers.options();
  const auto column = [&](const at::Tensor& of) {
    return of.index_select(0, numbers).view({n, 1});
  };

  const auto rows = at::arange(height, whole) + column(top_);
  auto columns = at::arange(width, whole).expand({n, width});
  if (flips_) columns = at::where(column(flipped_), width - 1 - columns, columns);
  columns = columns + column(left_);

  const auto padded =
      padding_ > 0 ? at::constant_pad_nd(images, {padding_, padding_, padding_, padding_}) : images;
  return padded.index({at::arange(n, whole).view({n, 1, 1, 1}),
                       at::arange(channels, whole).view({1, channels, 1, 1}),
                       rows.view({n, 1, height, 1}), columns.reshape({n, 1, 1, width})});
}

}  // namespace perturb
