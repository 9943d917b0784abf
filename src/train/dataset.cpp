#include "perturb/train/dataset.h"

#include <utility>

#include <ATen/ATen.h>

#include "perturb/core/error.h"

namespace perturb {
namespace {

/// Divided, not multiplied by 1/255: the same bits as other frameworks' pixels.
Tensor as_floats(const Tensor& inputs) {
  return inputs.scalar_type() == at::kByte ? inputs.to(at::kFloat).div_(255) : inputs;
}

}  // namespace

ExampleSet::ExampleSet(Tensor inputs, Tensor targets, Finish finish)
    : inputs_(std::move(inputs)), targets_(std::move(targets)), finish_(std::move(finish)) {
  const bool known = inputs_.scalar_type() == at::kByte || inputs_.scalar_type() == at::kFloat;
  if (!known || targets_.scalar_type() != at::kLong || inputs_.size(0) != targets_.numel()) {
    throw Error(ExitCode::Bug, "inputs and targets of a data set do not fit each other");
  }
}

Tensor ExampleSet::finish(const Tensor& inputs) const {
  auto x = as_floats(inputs);
  if (finish_.channels > 0) x = x.expand({-1, finish_.channels, -1, -1});
  if (finish_.mean.defined()) x = x - finish_.mean;
  if (finish_.deviation.defined()) x = x / finish_.deviation;
  return x;
}

Examples ExampleSet::gather(const Tensor& numbers, const Change& change) const {
  auto inputs = inputs_.index_select(0, numbers);
  if (change) inputs = change(inputs);
  return {finish(inputs), targets_.index_select(0, numbers)};
}

Examples ExampleSet::range(std::int64_t begin, std::int64_t size) const {
  return {finish(inputs_.narrow(0, begin, size)), targets_.narrow(0, begin, size)};
}

ExampleSet ExampleSet::finished(std::int64_t most_bytes) const {
  const auto copies = finish_.channels > 0 ? finish_.channels : 1;
  const auto floats = static_cast<std::int64_t>(sizeof(float));
  if (inputs_.numel() > most_bytes / floats / copies) return *this;
  return {finish(inputs_).contiguous(), targets_};
}

ExampleSet ExampleSet::first(std::int64_t count) const {
  return {inputs_.narrow(0, 0, count), targets_.narrow(0, 0, count), finish_};
}

ExampleSet ExampleSet::to(c10::Device device) const {
  const auto there = [&](const Tensor& t) { return t.defined() ? t.to(device) : t; };
  return {inputs_.to(device),
          targets_.to(device),
          {finish_.channels, there(finish_.mean), there(finish_.deviation)}};
}

}  // namespace perturb
