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

ExampleSet::ExampleSet(Tensor inputs, Tensor targets)
    : inputs_(std::move(inputs)), targets_(std::move(targets)) {
  const bool known = inputs_.scalar_type() == at::kByte || inputs_.scalar_type() == at::kFloat;
  if (!known || targets_.scalar_type() != at::kLong || inputs_.size(0) != targets_.numel()) {
    throw Error(ExitCode::Bug, "inputs and targets of a data set do not fit each other");
  }
}

Examples ExampleSet::gather(const Tensor& numbers) const {
  return {as_floats(inputs_.index_select(0, numbers)), targets_.index_select(0, numbers)};
}

Examples ExampleSet::range(std::int64_t begin, std::int64_t size) const {
  return {as_floats(inputs_.narrow(0, begin, size)), targets_.narrow(0, begin, size)};
}

ExampleSet ExampleSet::first(std::int64_t count) const {
  return {inputs_.narrow(0, 0, count), targets_.narrow(0, 0, count)};
}

ExampleSet ExampleSet::to(c10::Device device) const {
  return {inputs_.to(device), targets_.to(device)};
}

}  // namespace perturb
