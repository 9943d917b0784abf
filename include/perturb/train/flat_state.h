// Everything that training changes, as a few flat vectors: parameters, gradients, buffers,
// the optimizer's moments. The models' own tensors are views of them.
//
// So a checkpoint is one write a vector, a perturbation or a distance one vector operation, an
// optimizer step a handful, whatever the number of layers.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include <ATen/core/Tensor.h>

#include "perturb/train/model.h"

namespace perturb {

/// Where one parameter lies in the flat vector.
struct Slice {
  std::string name;
  Role role = Role::Weight;
  std::int64_t offset = 0;
  std::int64_t size = 0;
  std::vector<std::int64_t> shape;
  std::int64_t fan_in = 0;  ///< as in ModelParameter
  std::int64_t fan_out = 0;

  /// The slice's elements of a vector laid out like the parameters; a view in their shape.
  Tensor of(const Tensor& vector) const;
};

/// The values of a state, without the models that they belong to: what a stage hands over.
struct Snapshot {
  Tensor parameters;
  Tensor buffers;
  std::vector<Tensor> moments;
  std::int64_t updates = 0;

  std::size_t bytes() const;
};

class FlatState {
 public:
  /// Moves the models' parameters and buffers to `device` and makes them views of this state,
  /// one model after the other in their declared orders. The models must not outlive it.
  FlatState(const std::vector<Model*>& models, c10::Device device);

  const Tensor& parameters() const { return parameters_; }
  /// Added to by backward passes; zero it before.
  const Tensor& gradients() const { return gradients_; }
  const Tensor& buffers() const { return buffers_; }
  const std::vector<Slice>& layout() const { return layout_; }
  /// The models' own tensors, one a slice of `layout()`: what derivatives are taken by.
  const std::vector<Tensor>& leaves() const { return leaves_; }
  /// Where each buffer lies in `buffers()`; roles mean nothing there.
  const std::vector<Slice>& buffer_layout() const { return buffer_layout_; }
  /// Of all models; their axes name slices of `layout()` or `buffer_layout()`.
  const std::vector<UnitGroup>& unit_groups() const { return unit_groups_; }

  /// The optimizer's memory: vectors as long as the parameters.
  const std::vector<Tensor>& moments() const { return moments_; }
  /// Steps taken since the moments were zero.
  std::int64_t updates() const { return updates_; }
  void count_update() { ++updates_; }
  void reset_moments(std::size_t count);

  /// A copy.
  Snapshot snapshot() const;
  /// Takes over the values of a state with the same layout.
  void restore(const Snapshot& other);

 private:
  Tensor parameters_;
  Tensor gradients_;
  Tensor buffers_;
  std::vector<Tensor> moments_;
  std::int64_t updates_ = 0;
  std::vector<Slice> layout_;
  std::vector<Tensor> leaves_;
  std::vector<Slice> buffer_layout_;
  std::vector<UnitGroup> unit_groups_;
};

}  // namespace perturb
