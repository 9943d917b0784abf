#include "builtin/images.h"

#include <algorithm>
#include <cmath>
#include <utility>
#include <vector>

#include <ATen/ATen.h>

namespace perturb {
namespace {

/// Images that are doubles at the same time, while they are resized.
constexpr std::int64_t kAtOnce = 1000;

/// What a row of `to` pixels has of each of `from` pixels: weights of a triangle, (from, to), as
/// multiples of 2^-kBits.
constexpr int kBits = 22;

Tensor triangles(std::int64_t from, std::int64_t to) {
  const double scale = static_cast<double>(from) / static_cast<double>(to);
  const double reach = std::max(scale, 1.0);
  auto all = at::zeros({from, to}, at::kDouble);
  auto weight = all.accessor<double, 2>();
  for (std::int64_t i = 0; i < to; ++i) {
    const double centre = (static_cast<double>(i) + 0.5) * scale;
    const auto begin = std::max<std::int64_t>(0, static_cast<std::int64_t>(centre - reach + 0.5));
    const auto end = std::min(from, static_cast<std::int64_t>(centre + reach + 0.5));
    double sum = 0;
    for (auto j = begin; j < end; ++j) {
      weight[j][i] =
          std::max(0.0, 1 - std::abs((static_cast<double>(j) - centre + 0.5) * (1 / reach)));
      sum += weight[j][i];
    }
    for (auto j = begin; j < end; ++j)
      weight[j][i] = std::floor(weight[j][i] / sum * (1 << kBits) + 0.5);
  }
  return all;
}

/// The last dimension of bytes resized, in integers that doubles hold exactly: whoever multiplies
/// the matrices, the bits are the same.
Tensor narrowed(const Tensor& images, const Tensor& weights) {
  const auto sums = images.to(at::kDouble).matmul(weights);
  return (sums / (1 << kBits) + 0.5).floor().clamp(0, 255);
}

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
  const auto across = triangles(images.size(3), side);
  const auto down = triangles(images.size(2), side);
  auto out = at::empty({images.size(0), images.size(1), side, side}, images.options());
  for (std::int64_t begin = 0; begin < images.size(0); begin += kAtOnce) {
    const auto count = std::min(kAtOnce, images.size(0) - begin);
    const auto narrow = narrowed(images.narrow(0, begin, count), across);
    const auto small = narrowed(narrow.transpose(2, 3), down);
    out.narrow(0, begin, count).copy_(small.transpose(2, 3));
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
