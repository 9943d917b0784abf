// The assignment problem: each row one column, each column at most one row, the least total cost.
//
// Shortest augmenting paths after Jonker and Volgenant, A shortest augmenting path algorithm for
// dense and sparse linear assignment problems (1987). scipy.optimize.linear_sum_assignment.
#pragma once

#include "perturb/transport/measure.h"

namespace perturb::transport {

struct AssignmentOptions {
  bool maximise = false;  ///< the greatest total instead of the least
};

struct Assignment {
  Tensor rows;     ///< int64, min(n, m), ascending
  Tensor columns;  ///< int64, the column of each of `rows`
  double cost = 0;
};

/// `cost` is (n, m). An infinite entry (-inf where the greatest total is asked for) forbids a pair;
/// it is an Error(Usage) if nothing is left that uses all rows, or all columns where these are
/// fewer.
Assignment assign(const Tensor& cost, const AssignmentOptions& options = {});

}  // namespace perturb::transport
