#include "builtin/images.h"

#include <algorithm>
#include <utility>
#include <vector>

#include <ATen/ATen.h>

namespace perturb {
namespace {

/// Images that are floats at the same time while they are resized.
constexpr std::int64_t kAtOnce = 1000;

Tensor to_bytes(const Tensor& x) { return (x + 0.5).floor().clamp(0, 255); }

/// (channels or 1, 1, 1), undefined for an empty list.
Tensor per_channel(const Value& values) {
  std::vector<float> numbers;
  for (const auto& value : values.as_list())
    numbers.push_back(static_cast<float>(value.as_float()));
  if (numbers.empty()) return {};
  return at::tensor(numbers, at::kFloat).view({-1, 1, 1});
}

}  // namespace

Tensor resized(const Tensor& images, std::int64_t side) {
  auto out = at::empty({images.size(0), images.size(1), side, side}, images.options());
  for (std::int64_t begin = 0; begin < images.size(0); begin += kAtOnce) {
    const auto count = std::min(kAtOnce, images.size(0) - begin);
    const auto some = images.narrow(0, begin, count).to(at::kFloat);
    const auto narrow = to_bytes(
        at::_upsample_bilinear2d_aa(some, {images.size(2), side}, /*align_corners=*/false));
    out.narrow(0, begin, count)
        .copy_(to_bytes(at::_upsample_bilinear2d_aa(narrow, {side, side}, false)));
  }
  return out;
}

Dataset prepared(Dataset data, const Condition& condition) {
  const auto side = condition.integer("data.resize");
  // Data that have colours have no such key.
  const auto* channels = condition.find("data.channels");
  Finish finish = {.channels = channels ? channels->as_int() : 0,
                   .mean = per_channel(condition.at("data.mean")),
                   .deviation = per_channel(condition.at("data.std"))};
  for (auto* part : {&data.train, &data.test}) {
    const auto images = side > 0 ? resized(part->inputs(), side) : part->inputs();
    *part = ExampleSet(images, part->targets(), finish);
  }
  if (side > 0) data.shape.input[1] = data.shape.input[2] = side;
  if (finish.channels > 0) data.shape.input[0] = finish.channels;
  return data;
}

}  // namespace perturb
