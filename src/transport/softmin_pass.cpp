#include "transport/softmin_pass.h"

#include <algorithm>
#include <cmath>

#include "transport/lanes.h"
#include "transport/processor.h"

namespace perturb::transport {
namespace {

constexpr std::int64_t kBlock = 512;  // rows and columns of a block, whose columns stay in L1
constexpr int kRows = 4;              // at a time, so that a column is loaded once for four

/// The costs of rows i .. i+R-1 with the columns at j.
template <class T, Ground kGround, int kDimensions, int R>
PERTURB_INLINE void costs_at(const PairCosts<T>& costs, std::int64_t i, std::int64_t j,
                             Lanes<T>* out) {
  if constexpr (kGround == Ground::Matrix) {
    for (int r = 0; r < R; ++r) out[r] = load(costs.matrix.data() + (i + r) * costs.stride + j);
  } else {
    const std::int64_t dimensions = kDimensions > 0 ? kDimensions : costs.dimensions;
    for (int r = 0; r < R; ++r) out[r] = Lanes<T>{};
    for (std::int64_t k = 0; k < dimensions; ++k) {
      const auto y = load(costs.y.data() + k * costs.stride + j);
      for (int r = 0; r < R; ++r) {
        const auto difference = costs.x[static_cast<std::size_t>((i + r) * dimensions + k)] - y;
        out[r] += difference * difference;
      }
    }
    if constexpr (kGround == Ground::Distance) {
      for (int r = 0; r < R; ++r) out[r] = square_root<T>(out[r]);
    }
  }
}

/// What the costs are multiplied by: the half of a half square goes along.
template <class T, Ground kGround>
PERTURB_INLINE T factor(const PassInput<T>& in) {
  return kGround == Ground::HalfSquare ? in.scale / 2 : in.scale;
}

template <class T, Ground kGround, int kDimensions>
PERTURB_INLINE void block(const PassInput<T>& in, std::int64_t i0, std::int64_t i1, std::int64_t j0,
                          std::int64_t j1, T* column_part, double* rows) {
  constexpr int kLanes = LanesOf<T>::kCount;
  const T scale = factor<T, kGround>(in);
  for (std::int64_t i = i0; i < i1; i += kRows) {
    Lanes<T> sums[kRows] = {};
    for (std::int64_t j = j0; j < j1; j += kLanes) {
      Lanes<T> kernel[kRows];
      costs_at<T, kGround, kDimensions, kRows>(in.costs, i, j, kernel);
      const auto g = load(in.g + j);
      const auto b = load(in.b + j);
      auto column = load(column_part + (j - j0));
      for (int r = 0; r < kRows; ++r) {
        kernel[r] = exp2<T>((in.f[i + r] + g) - kernel[r] * scale);
        sums[r] += kernel[r] * b;
        column += kernel[r] * in.a[i + r];
      }
      store(column_part + (j - j0), column);
    }
    for (int r = 0; r < kRows; ++r) rows[i + r] += sum<T>(sums[r]);
  }
}

template <class T, Ground kGround, int kDimensions>
PERTURB_INLINE void all_blocks(const PassInput<T>& in, double* rows, double* columns) {
  const auto n = in.costs.n;
  const auto stride = in.costs.stride;
  T part[kBlock];
  for (std::int64_t i0 = 0; i0 < n; i0 += kBlock) {
    const auto i1 = std::min(i0 + kBlock, n);
    for (std::int64_t j0 = in.symmetric ? i0 : 0; j0 < stride; j0 += kBlock) {
      const auto j1 = std::min(j0 + kBlock, stride);
      std::fill(part, part + kBlock, T{0});
      block<T, kGround, kDimensions>(in, i0, i1, j0, j1, part, rows);
      if (in.symmetric && i0 == j0) continue;
      auto* to = in.symmetric ? rows : columns;
      const auto end = in.symmetric ? std::min(j1, n) : j1;
      for (auto j = j0; j < end; ++j) to[j] += static_cast<double>(part[j - j0]);
    }
  }
}

template <class T, Ground kGround>
PERTURB_INLINE void by_dimension(const PassInput<T>& in, double* rows, double* columns) {
  if (in.costs.dimensions == 2) return all_blocks<T, kGround, 2>(in, rows, columns);
  all_blocks<T, kGround, 0>(in, rows, columns);
}

template <class T>
PERTURB_INLINE void by_ground(const PassInput<T>& in, double* rows, double* columns) {
  switch (in.costs.ground) {
    case Ground::HalfSquare:
      return by_dimension<T, Ground::HalfSquare>(in, rows, columns);
    case Ground::Distance:
      return by_dimension<T, Ground::Distance>(in, rows, columns);
    case Ground::Matrix:
      return all_blocks<T, Ground::Matrix, 0>(in, rows, columns);
  }
}

struct Moments {
  double* rows;
  double* columns;
  double* row_moments;
  double* column_moments;  ///< coordinate by coordinate, `stride` apart
};

template <Ground kGround>
PERTURB_INLINE void all_moments(const PassInput<double>& in, const Moments& out) {
  using V = Lanes<double>;
  constexpr int kLanes = LanesOf<double>::kCount;
  const auto& costs = in.costs;
  const auto dimensions = costs.dimensions;
  const double scale = factor<double, kGround>(in);
  double kernels[kBlock];
  for (std::int64_t j0 = 0; j0 < costs.stride; j0 += kBlock) {
    const auto j1 = std::min(j0 + kBlock, costs.stride);
    for (std::int64_t i = 0; i < costs.n; ++i) {
      V total = {};
      for (auto j = j0; j < j1; j += kLanes) {
        V cost[1];
        costs_at<double, kGround, 0, 1>(costs, i, j, cost);
        V kernel = exp2<double>((in.f[i] + load(in.g + j)) - cost[0] * scale);
        total += kernel * load(in.b + j);
        store(out.columns + j, load(out.columns + j) + kernel * in.a[i]);
        if constexpr (kGround == Ground::Distance) {
          // The gradient of a distance that is zero counts as zero, one of its subgradients.
          kernel = cost[0] > V{} ? kernel / cost[0] : V{};
        }
        store(kernels + (j - j0), kernel);
      }
      out.rows[i] += sum<double>(total);
      for (std::int64_t k = 0; k < dimensions; ++k) {
        const double x = costs.x[static_cast<std::size_t>(i * dimensions + k)];
        const double* y = costs.y.data() + k * costs.stride;
        double* to = out.column_moments + k * costs.stride;
        V moment = {};
        for (auto j = j0; j < j1; j += kLanes) {
          const V pull = load(kernels + (j - j0)) * (x - load(y + j));
          moment += pull * load(in.b + j);
          store(to + j, load(to + j) - pull * in.a[i]);
        }
        out.row_moments[i * dimensions + k] += sum<double>(moment);
      }
    }
  }
}

PERTURB_INLINE void moments_by_ground(const PassInput<double>& in, const Moments& out) {
  if (in.costs.ground == Ground::Distance) {
    all_moments<Ground::Distance>(in, out);
  } else {
    all_moments<Ground::HalfSquare>(in, out);
  }
}

#define PERTURB_FOR(name, attributes)                                                       \
  attributes void pass_##name(const PassInput<float>& in, double* rows, double* columns) {  \
    by_ground(in, rows, columns);                                                           \
  }                                                                                         \
  attributes void pass_##name(const PassInput<double>& in, double* rows, double* columns) { \
    by_ground(in, rows, columns);                                                           \
  }                                                                                         \
  attributes void moments_##name(const PassInput<double>& in, const Moments& out) {         \
    moments_by_ground(in, out);                                                             \
  }

#if defined(__x86_64__)
PERTURB_FOR(wide, PERTURB_WIDE)
PERTURB_FOR(middle, PERTURB_MIDDLE)
#endif
PERTURB_FOR(plain, )
#undef PERTURB_FOR

template <class T>
void copy_padded(const std::vector<double>& points, std::int64_t count, PairCosts<T>& costs) {
  costs.y.assign(static_cast<std::size_t>(costs.dimensions * costs.stride), T{0});
  for (std::int64_t j = 0; j < count; ++j) {
    for (std::int64_t k = 0; k < costs.dimensions; ++k) {
      costs.y[static_cast<std::size_t>(k * costs.stride + j)] =
          static_cast<T>(points[static_cast<std::size_t>(j * costs.dimensions + k)]);
    }
  }
}

template <class T>
std::int64_t padded(std::int64_t m) {
  constexpr auto kPadding = PairCosts<T>::kPadding;
  return (m + kPadding - 1) / kPadding * kPadding;
}

}  // namespace

template <class T>
double PairCosts<T>::at(std::int64_t i, std::int64_t j) const {
  if (ground == Ground::Matrix)
    return static_cast<double>(matrix[static_cast<std::size_t>(i * stride + j)]);
  double square = 0;
  for (std::int64_t k = 0; k < dimensions; ++k) {
    const auto difference = static_cast<double>(x[static_cast<std::size_t>(i * dimensions + k)]) -
                            static_cast<double>(y[static_cast<std::size_t>(k * stride + j)]);
    square += difference * difference;
  }
  return ground == Ground::Distance ? std::sqrt(square) : square / 2;
}

template <class T>
PairCosts<T> pair_costs(Ground ground, const std::vector<double>& x, const std::vector<double>& y,
                        std::int64_t dimensions) {
  PairCosts<T> costs;
  costs.ground = ground;
  costs.dimensions = dimensions;
  costs.n = static_cast<std::int64_t>(x.size()) / dimensions;
  costs.m = static_cast<std::int64_t>(y.size()) / dimensions;
  costs.stride = padded<T>(costs.m);
  costs.x.assign(x.size() + static_cast<std::size_t>((kRows - 1) * dimensions), T{0});
  std::transform(x.begin(), x.end(), costs.x.begin(), [](double v) { return static_cast<T>(v); });
  copy_padded(y, costs.m, costs);
  return costs;
}

template <class T>
PairCosts<T> pair_costs(const double* matrix, std::int64_t n, std::int64_t m) {
  PairCosts<T> costs;
  costs.n = n;
  costs.m = m;
  costs.stride = padded<T>(m);
  costs.matrix.assign(static_cast<std::size_t>((n + kRows - 1) * costs.stride), T{0});
  for (std::int64_t i = 0; i < n; ++i) {
    std::transform(matrix + i * m, matrix + (i + 1) * m, costs.matrix.begin() + i * costs.stride,
                   [](double v) { return static_cast<T>(v); });
  }
  return costs;
}

template <class T>
PairCosts<T> as_matrix(const PairCosts<T>& points) {
  PairCosts<T> costs;
  costs.n = points.n;
  costs.m = points.m;
  costs.stride = points.stride;
  costs.matrix.assign(static_cast<std::size_t>((costs.n + kRows - 1) * costs.stride), T{0});
  for (std::int64_t i = 0; i < costs.n; ++i) {
    auto* row = costs.matrix.data() + i * costs.stride;
    for (std::int64_t k = 0; k < points.dimensions; ++k) {
      const T x = points.x[static_cast<std::size_t>(i * points.dimensions + k)];
      const T* y = points.y.data() + k * costs.stride;
      for (std::int64_t j = 0; j < costs.stride; ++j) row[j] += (x - y[j]) * (x - y[j]);
    }
    if (points.ground == Ground::Distance) {
      for (std::int64_t j = 0; j < costs.stride; ++j) row[j] = std::sqrt(row[j]);
    } else {
      for (std::int64_t j = 0; j < costs.stride; ++j) row[j] /= 2;
    }
  }
  return costs;
}

template <class T>
void softmin_pass(const PassInput<T>& in, std::vector<double>& rows, std::vector<double>& columns) {
  rows.assign(static_cast<std::size_t>(in.costs.n + kRows - 1), 0);
  columns.assign(static_cast<std::size_t>(in.costs.stride), 0);
#if defined(__x86_64__)
  if (processor() == Processor::Wide) return pass_wide(in, rows.data(), columns.data());
  if (processor() == Processor::Middle) return pass_middle(in, rows.data(), columns.data());
#endif
  pass_plain(in, rows.data(), columns.data());
}

void moment_pass(const PassInput<double>& in, std::vector<double>& rows,
                 std::vector<double>& columns, std::vector<double>& row_moments,
                 std::vector<double>& column_moments) {
  const auto& costs = in.costs;
  rows.assign(static_cast<std::size_t>(costs.n), 0);
  columns.assign(static_cast<std::size_t>(costs.stride), 0);
  row_moments.assign(static_cast<std::size_t>(costs.n * costs.dimensions), 0);
  std::vector<double> by_coordinate(static_cast<std::size_t>(costs.dimensions * costs.stride), 0);
  const Moments out{rows.data(), columns.data(), row_moments.data(), by_coordinate.data()};
  switch (processor()) {
#if defined(__x86_64__)
    case Processor::Wide:
      moments_wide(in, out);
      break;
    case Processor::Middle:
      moments_middle(in, out);
      break;
#endif
    default:
      moments_plain(in, out);
      break;
  }
  column_moments.resize(static_cast<std::size_t>(costs.m * costs.dimensions));
  for (std::int64_t j = 0; j < costs.m; ++j) {
    for (std::int64_t k = 0; k < costs.dimensions; ++k) {
      column_moments[static_cast<std::size_t>(j * costs.dimensions + k)] =
          by_coordinate[static_cast<std::size_t>(k * costs.stride + j)];
    }
  }
}

#define PERTURB_WITH(T)                                                           \
  template struct PairCosts<T>;                                                   \
  template PairCosts<T> pair_costs<T>(Ground, const std::vector<double>&,         \
                                      const std::vector<double>&, std::int64_t);  \
  template PairCosts<T> pair_costs<T>(const double*, std::int64_t, std::int64_t); \
  template PairCosts<T> as_matrix<T>(const PairCosts<T>&);                        \
  template void softmin_pass<T>(const PassInput<T>&, std::vector<double>&, std::vector<double>&)
PERTURB_WITH(float);
PERTURB_WITH(double);
#undef PERTURB_WITH

}  // namespace perturb::transport
