// A data set in memory: decoded once, then shared by all trials and threads, which only read.
// Images stay bytes and become floats batch by batch, a quarter of the memory and no slower.
#pragma once

#include <cstdint>
#include <vector>

#include <ATen/core/Tensor.h>

namespace perturb {

using at::Tensor;

/// Examples as a network takes them.
struct Examples {
  Tensor inputs;   ///< float, (n, ...)
  Tensor targets;  ///< int64, (n)
  std::int64_t size() const { return targets.size(0); }
};

class ExampleSet {
 public:
  ExampleSet() = default;
  /// `inputs` (n, ...): float as they are, or uint8 that stand for [0, 1]. `targets` int64 (n).
  ExampleSet(Tensor inputs, Tensor targets);

  std::int64_t size() const { return targets_.defined() ? targets_.size(0) : 0; }
  /// The examples of these numbers (int64, on the set's device), in this order.
  Examples gather(const Tensor& numbers) const;
  /// Examples [begin, begin + size).
  Examples range(std::int64_t begin, std::int64_t size) const;

  /// The first `count` examples; shares memory.
  ExampleSet first(std::int64_t count) const;
  ExampleSet to(c10::Device device) const;

  const Tensor& inputs() const { return inputs_; }
  const Tensor& targets() const { return targets_; }

 private:
  Tensor inputs_;
  Tensor targets_;
};

/// What a model must know of the data that it is made for.
struct DataShape {
  std::vector<std::int64_t> input;  ///< of one example: {1, 28, 28}
  std::int64_t classes = 0;
};

struct Dataset {
  DataShape shape;
  ExampleSet train;
  ExampleSet test;
};

}  // namespace perturb
