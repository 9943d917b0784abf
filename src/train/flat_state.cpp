#include "perturb/train/flat_state.h"

#include <set>

#include <ATen/ATen.h>

#include "perturb/core/error.h"

namespace perturb {
namespace {

std::int64_t buffer_size(const std::vector<Model*>& models) {
  std::int64_t size = 0;
  for (const auto* model : models) {
    for (const auto& buffer : model->buffers()) size += buffer.tensor.numel();
  }
  return size;
}

}  // namespace

Tensor Slice::of(const Tensor& vector) const { return vector.narrow(0, offset, size).view(shape); }

FlatState::FlatState(const std::vector<Model*>& models, c10::Device device) {
  const at::NoGradGuard no_gradients;
  const auto options = at::TensorOptions().dtype(at::kFloat).device(device);

  std::int64_t size = 0;
  std::set<std::string> names;
  for (const auto* model : models) {
    for (const auto& [name, tensor, role, fan_in, fan_out] : model->parameters()) {
      if (!names.insert(name).second) {
        throw Error(ExitCode::Bug, "two models of the task have a parameter " + name);
      }
      layout_.push_back({name, role, size, tensor.numel(), tensor.sizes().vec(), fan_in, fan_out});
      size += tensor.numel();
    }
    unit_groups_.insert(unit_groups_.end(), model->unit_groups().begin(),
                        model->unit_groups().end());
  }
  parameters_ = at::empty({size}, options);
  gradients_ = at::zeros({size}, options);
  buffers_ = at::empty({buffer_size(models)}, options);

  auto slice = layout_.begin();
  std::int64_t offset = 0;
  for (const auto* model : models) {
    for (const auto& parameter : model->parameters()) {
      const auto& tensor = parameter.tensor;
      const auto view = slice->of(parameters_);
      view.copy_(tensor);
      tensor.set_data(view);
      // Backward passes add to a gradient that is there, in place.
      tensor.mutable_grad() = slice->of(gradients_);
      leaves_.push_back(tensor);
      ++slice;
    }
    for (const auto& buffer : model->buffers()) {
      const auto view =
          buffers_.narrow(0, offset, buffer.tensor.numel()).view(buffer.tensor.sizes());
      view.copy_(buffer.tensor);
      buffer.tensor.set_data(view);
      if (!names.insert(buffer.name).second) {
        throw Error(ExitCode::Bug, "two models of the task have a buffer " + buffer.name);
      }
      buffer_layout_.push_back({buffer.name, Role::Weight, offset, buffer.tensor.numel(),
                                buffer.tensor.sizes().vec(), 0, 0});
      offset += buffer.tensor.numel();
    }
  }
}

void FlatState::reset_moments(std::size_t count) {
  moments_.clear();
  for (std::size_t i = 0; i < count; ++i) moments_.push_back(at::zeros_like(parameters_));
  updates_ = 0;
}

std::size_t Snapshot::bytes() const {
  std::size_t bytes = parameters.nbytes() + buffers.nbytes();
  for (const auto& moment : moments) bytes += moment.nbytes();
  return bytes;
}

Snapshot FlatState::snapshot() const {
  Snapshot copy{parameters_.clone(), buffers_.clone(), {}, updates_};
  for (const auto& moment : moments_) copy.moments.push_back(moment.clone());
  return copy;
}

void FlatState::restore(const Snapshot& other) {
  parameters_.copy_(other.parameters);
  buffers_.copy_(other.buffers);
  reset_moments(other.moments.size());
  for (std::size_t i = 0; i < moments_.size(); ++i) moments_[i].copy_(other.moments[i]);
  updates_ = other.updates;
}

}  // namespace perturb
