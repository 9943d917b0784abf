#include "perturb/transport/assignment.h"

#include <cmath>
#include <limits>
#include <numeric>

#include <ATen/ATen.h>

#include "transport/check.h"
#include "transport/shortest_paths.h"

namespace perturb::transport {
namespace {

/// Costs to be minimised, fewer rows than columns or as many.
struct Oriented {
  Doubles costs;
  std::int64_t rows = 0;
  std::int64_t columns = 0;
  bool transposed = false;
};

Oriented oriented(const Tensor& cost, bool maximise) {
  const bool transposed = cost.size(0) > cost.size(1);
  auto costs = doubles(transposed ? cost.t() : cost);
  for (auto& entry : costs) {
    if (maximise) entry = -entry;
    if (std::isnan(entry)) reject("cost", "it has NaN entries");
    if (entry == -std::numeric_limits<double>::infinity())
      reject("cost", maximise ? "it has entries of +inf" : "it has entries of -inf");
  }
  return {std::move(costs), transposed ? cost.size(1) : cost.size(0),
          transposed ? cost.size(0) : cost.size(1), transposed};
}

}  // namespace

Assignment assign(const Tensor& cost, const AssignmentOptions& options) {
  if (!cost.defined() || cost.dim() != 2 || !at::isFloatingType(cost.scalar_type()))
    reject("cost", "it must be a floating-point matrix");
  if (cost.numel() == 0) reject("cost", "it is empty");
  const auto problem = oriented(cost, options.maximise);
  const auto columns = shortest_path_assignment(problem.costs, problem.rows, problem.columns);
  if (columns.empty()) reject("cost", "infinite entries leave no assignment");

  Assignment out;
  std::vector<std::int64_t> left(columns.size());
  std::vector<std::int64_t> right = columns;
  std::iota(left.begin(), left.end(), std::int64_t{0});
  for (std::size_t i = 0; i < columns.size(); ++i) {
    const auto entry = static_cast<std::int64_t>(i) * problem.columns + columns[i];
    out.cost += problem.costs[static_cast<std::size_t>(entry)];
  }
  if (options.maximise) out.cost = -out.cost;
  if (problem.transposed) {
    std::vector<std::int64_t> row_of(static_cast<std::size_t>(problem.columns), -1);
    for (std::size_t i = 0; i < columns.size(); ++i)
      row_of[static_cast<std::size_t>(columns[i])] = static_cast<std::int64_t>(i);
    left.clear();
    right.clear();
    for (std::size_t j = 0; j < row_of.size(); ++j) {
      if (row_of[j] < 0) continue;
      left.push_back(static_cast<std::int64_t>(j));
      right.push_back(row_of[j]);
    }
  }
  out.rows = at::tensor(left, at::kLong);
  out.columns = at::tensor(right, at::kLong);
  return out;
}

}  // namespace perturb::transport
