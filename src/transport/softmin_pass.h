// One pass over all pairs (i, j) of a transport problem, the only place where anything is done for
// each of them: with K_ij = exp((f_i + g_j - C_ij) / eps), the sums
//
//     rows_i = sum_j b_j K_ij        columns_j = sum_i a_i K_ij
//
// of the same exponentials, from which both softmins follow: -eps log sum_j b_j exp((g_j - C_ij) /
// eps) is f_i - eps log rows_i. Costs are computed where they are used, block by block, so that the
// memory is that of the points. Knows nothing of iterations.
#pragma once

#include <cstdint>
#include <vector>

namespace perturb::transport {

enum class Ground {
  HalfSquare,  ///< |x - y|^2 / 2
  Distance,    ///< |x - y|
  Matrix,      ///< given
};

/// What the pairs cost, laid out for the pass: rows padded to a multiple of 4, columns to one of
/// `kPadding`. What the padding holds is never used.
template <class T>
struct PairCosts {
  static constexpr std::int64_t kPadding = 16;

  Ground ground = Ground::Matrix;
  std::int64_t n = 0;
  std::int64_t m = 0;
  std::int64_t dimensions = 0;
  std::int64_t stride = 0;  ///< m, padded
  std::vector<T> x;         ///< point by point
  std::vector<T> y;         ///< coordinate by coordinate, `stride` apart
  std::vector<T> matrix;    ///< row by row, `stride` apart

  double at(std::int64_t i, std::int64_t j) const;
};

template <class T>
PairCosts<T> pair_costs(Ground ground, const std::vector<double>& x, const std::vector<double>& y,
                        std::int64_t dimensions);
template <class T>
PairCosts<T> pair_costs(const double* matrix, std::int64_t n, std::int64_t m);
/// The same costs, written down: faster where a point has many coordinates.
template <class T>
PairCosts<T> as_matrix(const PairCosts<T>& points);

/// Padded like the costs: n + 3 and `stride` numbers.
template <class T>
struct PassInput {
  const PairCosts<T>& costs;
  T scale = 1;           ///< log2(e) / eps
  const T* f = nullptr;  ///< times `scale`
  const T* g = nullptr;  ///< times `scale`
  const T* a = nullptr;
  const T* b = nullptr;  ///< zero in the padding
  /// x = y, f = g and a = b: what lies below the diagonal is not computed, and `rows` is all.
  bool symmetric = false;
};

template <class T>
void softmin_pass(const PassInput<T>& input, std::vector<double>& rows,
                  std::vector<double>& columns);

/// Also sum_j b_j K_ij grad C(x_i, y_j), n x dimensions, and the mirror (with respect to y), m x
/// dimensions. Not for matrices.
void moment_pass(const PassInput<double>& input, std::vector<double>& rows,
                 std::vector<double>& columns, std::vector<double>& row_moments,
                 std::vector<double>& column_moments);

}  // namespace perturb::transport
