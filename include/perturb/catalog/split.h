// How a table without an official test set is divided. Shared by whoever counts examples
// before anything is trained and by whoever loads them, so that the two cannot disagree.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

namespace perturb {

/// Row numbers; both sides in the random order that they were drawn in, so that the first n
/// training examples are a fair sample even of rows that are sorted by class.
struct Split {
  std::vector<std::int64_t> train, test;
};

/// How many of `rows` examples are kept for testing: the nearest whole number, halves up.
std::int64_t test_rows(std::int64_t rows, double test_fraction);

/// Walks the rows in the order Random(seed, "data/split").permutation(rows): the first
/// test_rows(rows, test_fraction) are for testing, the others for training.
Split split_rows(std::int64_t rows, double test_fraction, std::uint64_t seed);

/// The same walk, but the first test_rows(rows of the class, test_fraction) of every class
/// are for testing. `labels`: one a row, from 0.
Split split_stratified(std::span<const std::int64_t> labels, double test_fraction,
                       std::uint64_t seed);

}  // namespace perturb
