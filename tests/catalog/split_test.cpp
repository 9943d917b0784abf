#include "perturb/catalog/split.h"

#include <algorithm>
#include <vector>

#include <doctest/doctest.h>

using namespace perturb;

namespace {

std::vector<std::int64_t> together(const Split& split) {
  std::vector<std::int64_t> all = split.train;
  all.insert(all.end(), split.test.begin(), split.test.end());
  std::sort(all.begin(), all.end());
  return all;
}

}  // namespace

TEST_CASE("a split is a partition, of the promised sizes, addressed by its seed") {
  for (const std::int64_t rows : {1, 2, 7, 150, 1001}) {
    for (const double fraction : {0.1, 0.2, 0.5, 0.9}) {
      CAPTURE(rows);
      CAPTURE(fraction);
      const auto split = split_rows(rows, fraction, 3);
      CHECK(std::ssize(split.test) == test_rows(rows, fraction));
      std::vector<std::int64_t> expected(static_cast<std::size_t>(rows));
      for (std::size_t i = 0; i < expected.size(); ++i) expected[i] = static_cast<std::int64_t>(i);
      CHECK(together(split) == expected);
      const auto again = split_rows(rows, fraction, 3);
      CHECK((again.test == split.test && again.train == split.train));
    }
  }
  CHECK(split_rows(100, 0.2, 0).test != split_rows(100, 0.2, 1).test);
}

TEST_CASE("halves are rounded up") {
  CHECK(test_rows(5, 0.1) == 1);
  CHECK(test_rows(5, 0.5) == 3);
  CHECK(test_rows(50, 0.2) == 10);
  CHECK(test_rows(4, 0.1) == 0);
}

TEST_CASE("a stratified split keeps the shares of the classes") {
  std::vector<std::int64_t> labels;  // sorted by class, as iris is
  for (const auto& [label, count] : {std::pair{0, 50}, {1, 30}, {2, 10}}) {
    labels.insert(labels.end(), static_cast<std::size_t>(count), label);
  }
  const auto split = split_stratified(labels, 0.2, 5);
  std::vector<int> tested(3);
  for (const auto row : split.test)
    ++tested[static_cast<std::size_t>(labels[static_cast<std::size_t>(row)])];
  CHECK(tested == std::vector<int>{10, 6, 2});
  CHECK(together(split).size() == labels.size());
}

TEST_CASE("the first training examples are of several classes") {
  std::vector<std::int64_t> labels;
  for (const std::int64_t label : {0, 1, 2}) labels.insert(labels.end(), 50, label);
  const auto split = split_stratified(labels, 0.2, 0);
  std::vector<std::int64_t> first;
  for (std::size_t i = 0; i < 20; ++i) {
    first.push_back(labels[static_cast<std::size_t>(split.train[i])]);
  }
  for (const std::int64_t label : {0, 1, 2})
    CHECK(std::count(first.begin(), first.end(), label) > 0);
}
