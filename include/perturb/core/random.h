// Addressed randomness (law 2): every draw belongs to (seed of a stream, purpose, step),
// so nothing is consumed and nothing has to be saved. Not a wrapper of LibTorch's
// generator, which keeps 32 bits of seed and is shared by all threads.
//
// Philox4x32-10: a counter-based generator whose n-th block depends on the key and n alone.
// Salmon, Moraes, Dror, Shaw: Parallel random numbers: as easy as 1, 2, 3 (SC 2011).
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>
#include <vector>

namespace perturb {

/// One block of Philox4x32-10.
std::array<std::uint32_t, 4> philox(std::array<std::uint32_t, 4> counter,
                                    std::array<std::uint32_t, 2> key);

class Random {
 public:
  /// The stream `seed` (as in `[seeds]`), what the draw is for ("order", "weights/conv1"),
  /// and the step or epoch it belongs to.
  Random(std::uint64_t seed, std::string_view purpose, std::uint64_t step = 0);

  std::uint32_t bits();
  /// Uniform on [0, 1), 24 bits: every value is a float.
  float uniform();
  /// Standard normal, by Box and Muller.
  float normal();
  /// Uniform on {0, ..., bound - 1}, without bias. `bound` must be positive.
  std::uint64_t below(std::uint64_t bound);

  void fill_uniform(std::span<float> out);
  void fill_normal(std::span<float> out);
  /// A uniformly drawn order of 0 .. n-1 (Fisher and Yates).
  std::vector<std::int64_t> permutation(std::size_t n);

 private:
  std::array<std::uint32_t, 2> key_{};
  std::array<std::uint32_t, 2> address_{};  // upper half of the counter
  std::uint64_t block_ = 0;                 // lower half
  std::array<std::uint32_t, 4> buffer_{};
  int used_ = 4;
  float spare_ = 0;
  bool has_spare_ = false;
};

}  // namespace perturb
