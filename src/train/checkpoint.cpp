#include "perturb/train/checkpoint.h"

#include <charconv>
#include <cstring>
#include <map>
#include <vector>

#include <ATen/ATen.h>

#include "perturb/core/error.h"
#include "perturb/core/safetensors.h"

namespace perturb {
namespace {

constexpr std::string_view kMoment = "optimizer.moment.";

std::string moment_name(std::size_t number) {
  return std::string(kMoment) + std::to_string(number);
}

std::string_view bytes_of(const Tensor& contiguous) {
  return {static_cast<const char*>(contiguous.data_ptr()), contiguous.nbytes()};
}

[[noreturn]] void refuse(const std::string& why) {
  throw Error(ExitCode::Store, "the checkpoint does not fit: " + why,
              "`perturb verify` finds what is wrong with a store");
}

/// Copies a tensor of the file to where it belongs.
void read_into(const Safetensors& file, const std::string& name,
               const std::vector<std::int64_t>& shape, const Tensor& target) {
  const auto* stored = file.find(name);
  if (!stored) refuse("there is no " + name);
  if (stored->dtype != "F32" || stored->shape != shape) refuse(name + " is of another shape");
  // Copied as bytes: nothing says that they are aligned in the file.
  std::memcpy(target.data_ptr(), stored->bytes.data(), stored->bytes.size());
}

std::int64_t number(const Safetensors& file, const std::string& key) {
  const auto found = file.metadata.find(key);
  std::int64_t value = 0;
  if (found == file.metadata.end()) refuse("it does not say its " + key);
  const auto* end = found->second.data() + found->second.size();
  const auto [rest, error] = std::from_chars(found->second.data(), end, value);
  if (error != std::errc() || rest != end || value < 0) refuse("its " + key + " is no number");
  return value;
}

}  // namespace

std::string to_safetensors(const FlatState& state, const std::string& optimizer,
                           std::int64_t step) {
  const auto parameters = state.parameters().detach().cpu().contiguous();
  const auto buffers = state.buffers().cpu().contiguous();
  std::vector<Tensor> moments;
  for (const auto& moment : state.moments()) moments.push_back(moment.cpu().contiguous());

  std::vector<StoredTensor> tensors;
  for (const auto& slice : state.layout()) {
    tensors.push_back(
        {slice.name, "F32", slice.shape, bytes_of(parameters.narrow(0, slice.offset, slice.size))});
  }
  for (const auto& slice : state.buffer_layout()) {
    tensors.push_back(
        {slice.name, "F32", slice.shape, bytes_of(buffers.narrow(0, slice.offset, slice.size))});
  }
  for (std::size_t i = 0; i < moments.size(); ++i)
    tensors.push_back({moment_name(i), "F32", {moments[i].numel()}, bytes_of(moments[i])});
  return write_safetensors(tensors, {{"format", "pt"},
                                     {"optimizer", optimizer},
                                     {"updates", std::to_string(state.updates())},
                                     {"step", std::to_string(step)}});
}

void begin_with(std::string_view bytes, FlatState& state) {
  const auto file = read_safetensors(bytes);
  const auto misfit = [](const std::string& why) { throw Error(ExitCode::Usage, why); };
  std::size_t found = 0;
  const auto copy = [&](const std::vector<Slice>& layout, const Tensor& vector) {
    for (const auto& slice : layout) {
      const auto* stored = file.find(slice.name);
      if (!stored) misfit("has no " + slice.name);
      if (stored->dtype != "F32" || stored->shape != slice.shape)
        misfit("has another shape of " + slice.name);
      auto values = at::empty({slice.size}, at::kFloat);
      std::memcpy(values.data_ptr(), stored->bytes.data(), stored->bytes.size());
      vector.narrow(0, slice.offset, slice.size).copy_(values);
      ++found;
    }
  };
  const at::NoGradGuard no_gradients;
  copy(state.layout(), state.parameters());
  copy(state.buffer_layout(), state.buffers());
  for (const auto& tensor : file.tensors) {
    if (tensor.name.starts_with(kMoment)) ++found;
  }
  if (found < file.tensors.size()) misfit("has tensors that there is no place for");
}

Snapshot snapshot_from(std::string_view bytes, const FlatState& like) {
  Safetensors file;
  try {
    file = read_safetensors(bytes);
  } catch (const Error& error) {
    refuse(error.what());
  }
  const auto cpu = at::TensorOptions().dtype(at::kFloat);
  Snapshot out;
  out.parameters = at::empty({like.parameters().numel()}, cpu);
  out.buffers = at::empty({like.buffers().numel()}, cpu);
  out.updates = number(file, "updates");
  for (const auto& slice : like.layout()) {
    read_into(file, slice.name, slice.shape, out.parameters.narrow(0, slice.offset, slice.size));
  }
  for (const auto& slice : like.buffer_layout()) {
    read_into(file, slice.name, slice.shape, out.buffers.narrow(0, slice.offset, slice.size));
  }
  const auto known = like.layout().size() + like.buffer_layout().size();
  if (file.tensors.size() < known) refuse("tensors are missing");
  for (std::size_t i = 0; i < file.tensors.size() - known; ++i) {
    out.moments.push_back(at::empty_like(out.parameters));
    read_into(file, moment_name(i), {out.parameters.numel()}, out.moments.back());
  }
  return out;
}

}  // namespace perturb
