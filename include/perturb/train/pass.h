// One forward pass of a model as the model sees it: training or evaluation, addressed
// randomness, and the names of the points inside, where others may look and interfere.
//
// Law: a pass without probes computes what the model alone computes, at no cost.
#pragma once

#include <cstdint>
#include <string_view>
#include <utility>
#include <vector>

#include <ATen/core/Tensor.h>

namespace perturb {

using at::Tensor;

/// Sees the value at every named point, in the order in which the model computes them.
class Probe {
 public:
  virtual ~Probe() = default;
  /// What the model goes on with: `value` itself, or anything of its shape in its place.
  virtual Tensor at(std::string_view point, const Tensor& value) = 0;
};

class Pass {
 public:
  static Pass evaluation() { return Pass(false, 0, 0); }
  /// `dropout_seed` is the seed of the stream, `step` the address within it.
  static Pass training(std::uint64_t dropout_seed, std::int64_t step) {
    return Pass(true, dropout_seed, step);
  }

  bool is_training() const { return training_; }

  bool is_watched() const { return !probes_.empty(); }
  /// The probe must outlive the pass. Several see each other's changes in this order.
  void add(Probe& probe) { probes_.push_back(&probe); }

  /// Names a point: `h = pass("conv1", conv1(h))`.
  Tensor operator()(std::string_view point, Tensor value) {
    for (Probe* probe : probes_) value = probe->at(point, value);
    return value;
  }

  /// Zeroes each element with `probability` and scales the others so that the mean stays.
  /// Not torch::dropout, which draws from the global generator. `x` itself in evaluation.
  Tensor dropout(std::string_view point, const Tensor& x, double probability) const;

 private:
  Pass(bool training, std::uint64_t dropout_seed, std::int64_t step)
      : training_(training), dropout_seed_(dropout_seed), step_(step) {}

  bool training_;
  std::uint64_t dropout_seed_;
  std::int64_t step_;
  std::vector<Probe*> probes_;
};

}  // namespace perturb
