#include "perturb/catalog/split.h"

#include <algorithm>
#include <cmath>
#include <cstddef>

#include "perturb/core/random.h"

namespace perturb {

std::int64_t test_rows(std::int64_t rows, double test_fraction) {
  return std::llround(static_cast<double>(rows) * test_fraction);
}

Split split_stratified(std::span<const std::int64_t> labels, double test_fraction,
                       std::uint64_t seed) {
  std::vector<std::int64_t> left;  // examples that each class still owes to the test set
  for (const auto label : labels) {
    const auto place = static_cast<std::size_t>(label);
    if (place >= left.size()) left.resize(place + 1);
    ++left[place];
  }
  for (auto& count : left) count = test_rows(count, test_fraction);

  Split split;
  for (const auto row : Random(seed, "data/split").permutation(labels.size())) {
    auto& owed = left[static_cast<std::size_t>(labels[static_cast<std::size_t>(row)])];
    (owed > 0 ? split.test : split.train).push_back(row);
    if (owed > 0) --owed;
  }
  return split;
}

Split split_rows(std::int64_t rows, double test_fraction, std::uint64_t seed) {
  const std::vector<std::int64_t> one_class(static_cast<std::size_t>(rows), 0);
  return split_stratified(one_class, test_fraction, seed);
}

}  // namespace perturb
