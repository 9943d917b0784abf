// A data set in memory: decoded once, then shared by all trials and threads, which only read.
// Images stay bytes and become floats batch by batch, a quarter of the memory and no slower.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
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

/// What becomes of images on their way to a network, after their bytes have become floats.
struct Finish {
  std::int64_t channels = 0;  ///< a single channel is repeated so often; 0: as they are
  Tensor mean;                ///< float (channels or 1, 1, 1), subtracted; undefined: nothing is
  Tensor deviation;           ///< likewise, divided by
};

class ExampleSet {
 public:
  ExampleSet() = default;
  /// `inputs` (n, ...): float as they are, or uint8 that stand for [0, 1]. `targets` int64 (n).
  ExampleSet(Tensor inputs, Tensor targets, Finish finish = {});

  std::int64_t size() const { return targets_.defined() ? targets_.size(0) : 0; }
  /// Takes inputs as they are kept and gives others like them.
  using Change = std::function<Tensor(const Tensor&)>;
  /// The examples of these numbers (int64, on the set's device), in this order; changed, if so,
  /// before they are finished.
  Examples gather(const Tensor& numbers, const Change& change = {}) const;
  /// Examples [begin, begin + size).
  Examples range(std::int64_t begin, std::int64_t size) const;
  /// The same examples, finished once and for all, if they then take no more than so many bytes;
  /// otherwise these. For who passes over them many times.
  ExampleSet finished(std::int64_t most_bytes) const;

  /// The first `count` examples; shares memory.
  ExampleSet first(std::int64_t count) const;
  ExampleSet to(c10::Device device) const;

  /// As they are kept.
  const Tensor& inputs() const { return inputs_; }
  const Tensor& targets() const { return targets_; }

 private:
  Tensor finish(const Tensor& inputs) const;

  Tensor inputs_;
  Tensor targets_;
  Finish finish_;
};

/// What a model must know of the data that it is made for.
struct DataShape {
  std::vector<std::int64_t> input;  ///< of one example: {1, 28, 28}
  std::int64_t classes = 0;
};

struct Population;

struct Dataset {
  DataShape shape;
  ExampleSet train;
  ExampleSet test;
  /// Whose networks the examples are; null where they are no networks.
  std::shared_ptr<const Population> population = nullptr;
};

}  // namespace perturb
