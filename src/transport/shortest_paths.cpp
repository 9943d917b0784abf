#include "transport/shortest_paths.h"

#include <algorithm>
#include <limits>
#include <numeric>
#include <utility>

#include "transport/lanes.h"
#include "transport/processor.h"

namespace perturb::transport {
namespace {

using V = Lanes<double>;
using Index = LanesOf<double>::Bits;
constexpr int kLanes = LanesOf<double>::kCount;
constexpr double kInfinity = std::numeric_limits<double>::infinity();

/// The columns as one row's search sees them, padded with columns that are done.
struct Search {
  std::vector<double> prices;      ///< v
  std::vector<double> distance;    ///< of the shortest path that was found so far
  std::vector<double> done;        ///< 0, or infinite where the distance is final
  std::vector<std::int64_t> from;  ///< the row before, on that path
};

struct TwoLeast {
  double least = kInfinity;
  double second = kInfinity;
};

PERTURB_INLINE TwoLeast two_least(const double* costs, const Search& search) {
  V first = V{} + kInfinity;
  V second = first;
  for (std::size_t j = 0; j < search.prices.size(); j += kLanes) {
    const V reduced = load(costs + j) - load(&search.prices[j]) + load(&search.done[j]);
    const V greater = reduced > first ? reduced : first;
    second = greater < second ? greater : second;
    first = reduced < first ? reduced : first;
  }
  TwoLeast out;
  for (int k = 0; k < kLanes; ++k) {
    for (const double value : {first[k], second[k]}) {
      if (value < out.least) {
        out.second = std::exchange(out.least, value);
      } else {
        out.second = std::min(out.second, value);
      }
    }
  }
  return out;
}

/// Shortens paths by going through `row`, whose own path has length `offset` + its reduced cost;
/// returns the least distance of what is not done.
PERTURB_INLINE double relax(const double* costs, double offset, std::int64_t row, Search& search) {
  V least = V{} + kInfinity;
  for (std::size_t j = 0; j < search.prices.size(); j += kLanes) {
    const V done = load(&search.done[j]);
    const V old = load(&search.distance[j]);
    const V through = load(costs + j) - load(&search.prices[j]) - offset + done;
    const auto shorter = through < old;
    const V now = shorter ? through : old;
    store(&search.distance[j], now);
    auto& from = *reinterpret_cast<LanesOf<double>::BitsAnywhere*>(&search.from[j]);
    from = shorter ? Index{} + row : Index(from);
    const V open = now + done;
    least = open < least ? open : least;
  }
  double out = kInfinity;
  for (int k = 0; k < kLanes; ++k) out = std::min(out, least[k]);
  return out;
}

#define PERTURB_FOR(name, attributes)                                                  \
  attributes TwoLeast two_least_##name(const double* costs, const Search& search) {    \
    return two_least(costs, search);                                                   \
  }                                                                                    \
  attributes double relax_##name(const double* costs, double offset, std::int64_t row, \
                                 Search& search) {                                     \
    return relax(costs, offset, row, search);                                          \
  }

#if defined(__x86_64__)
PERTURB_FOR(wide, PERTURB_WIDE)
PERTURB_FOR(middle, PERTURB_MIDDLE)
#endif
PERTURB_FOR(plain, )
#undef PERTURB_FOR

class Assigner {
 public:
  Assigner(std::vector<double> costs, std::int64_t rows, std::int64_t columns)
      : costs_(std::move(costs)),
        n_(static_cast<std::size_t>(rows)),
        m_(static_cast<std::size_t>(columns)),
        column_of_(n_, -1),
        row_of_(m_, -1) {
    const auto padded = (m_ + kLanes - 1) / kLanes * kLanes;
    costs_.resize(n_ * m_ + kLanes, kInfinity);  // what the last row is read beyond its end
    search_.prices.assign(padded, 0);
    search_.distance.assign(padded, kInfinity);
    search_.done.assign(padded, 0);
    std::fill(search_.done.begin() + static_cast<std::ptrdiff_t>(m_), search_.done.end(),
              kInfinity);
    search_.from.assign(padded, -1);
#if defined(__x86_64__)
    if (processor() == Processor::Wide) {
      two_least_ = two_least_wide;
      relax_ = relax_wide;
    } else if (processor() == Processor::Middle) {
      two_least_ = two_least_middle;
      relax_ = relax_middle;
    }
#endif
  }

  std::vector<std::int64_t> solve() {
    // Prices may differ from zero at the start only where every column is used in the end.
    if (n_ == m_) reduce_columns();
    std::vector<std::size_t> open;
    for (std::size_t i = 0; i < n_; ++i) {
      if (column_of_[i] < 0) open.push_back(i);
    }
    for (int sweep = 0; sweep < 2; ++sweep) open = reduce_rows(open);
    for (const auto i : open) {
      if (!augment(i)) return {};
    }
    return column_of_;
  }

 private:
  const double* row(std::size_t i) const { return costs_.data() + i * m_; }
  double reduced(std::size_t i, std::size_t j) const { return row(i)[j] - search_.prices[j]; }

  void match(std::size_t i, std::size_t j) {
    column_of_[i] = static_cast<std::int64_t>(j);
    row_of_[j] = static_cast<std::int64_t>(i);
  }

  /// Each column to its cheapest row, if nobody has that yet.
  void reduce_columns() {
    auto& prices = search_.prices;
    std::vector<std::size_t> cheapest(m_, 0);
    std::copy(row(0), row(0) + m_, prices.begin());
    for (std::size_t i = 1; i < n_; ++i) {
      for (std::size_t j = 0; j < m_; ++j) {
        if (row(i)[j] < prices[j]) {
          prices[j] = row(i)[j];
          cheapest[j] = i;
        }
      }
    }
    for (std::size_t j = m_; j-- > 0;) {
      if (prices[j] == kInfinity) {
        prices[j] = 0;
      } else if (column_of_[cheapest[j]] < 0) {
        match(cheapest[j], j);
      }
    }
  }

  /// Each row to its cheapest column, whose price falls until the second best is as good; who had
  /// it looks for another. Returns the rows that are left.
  std::vector<std::size_t> reduce_rows(std::vector<std::size_t> open) {
    std::vector<std::size_t> left;
    std::reverse(open.begin(), open.end());
    // With rounding, prices may fall by nothing for ever.
    auto steps = 8 * n_;
    while (!open.empty()) {
      const auto i = open.back();
      open.pop_back();
      const auto [least, second] = two_least_(row(i), search_);
      if (second == kInfinity || steps == 0) {
        left.push_back(i);
        continue;
      }
      --steps;
      auto j = find(i, least, 0);
      if (least < second) {
        search_.prices[j] -= second - least;
      } else if (row_of_[j] >= 0) {
        j = find(i, least, j + 1);
      }
      const auto before = row_of_[j];
      match(i, j);
      if (before < 0) continue;
      column_of_[static_cast<std::size_t>(before)] = -1;
      if (least < second) {
        open.push_back(static_cast<std::size_t>(before));
      } else {
        left.push_back(static_cast<std::size_t>(before));
      }
    }
    return left;
  }

  std::size_t find(std::size_t i, double value, std::size_t from) const {
    while (reduced(i, from) != value) ++from;
    return from;
  }

  /// The shortest path from a row without a column to a column without a row, by Dijkstra's method.
  bool augment(std::size_t start) {
    auto& [prices, distance, done, from] = search_;
    std::fill(distance.begin(), distance.end(), kInfinity);
    std::vector<std::size_t> reached;
    auto i = start;
    double offset = 0;
    std::size_t j = 0;
    double length = 0;
    while (true) {
      length = relax_(row(i), offset, static_cast<std::int64_t>(i), search_);
      if (length == kInfinity) break;
      for (j = 0; distance[j] != length || done[j] != 0; ++j) {
      }
      reached.push_back(j);
      done[j] = kInfinity;
      if (row_of_[j] < 0) break;
      i = static_cast<std::size_t>(row_of_[j]);
      offset = reduced(i, j) - length;
    }
    for (const auto column : reached) done[column] = 0;
    if (length == kInfinity) return false;
    for (const auto column : reached) prices[column] += distance[column] - length;
    while (true) {
      i = static_cast<std::size_t>(from[j]);
      const auto next = column_of_[i];
      match(i, j);
      if (i == start) return true;
      j = static_cast<std::size_t>(next);
    }
  }

  std::vector<double> costs_;
  std::size_t n_;
  std::size_t m_;
  Search search_;
  std::vector<std::int64_t> column_of_;
  std::vector<std::int64_t> row_of_;
  TwoLeast (*two_least_)(const double*, const Search&) = two_least_plain;
  double (*relax_)(const double*, double, std::int64_t, Search&) = relax_plain;
};

}  // namespace

std::vector<std::int64_t> shortest_path_assignment(std::vector<double> costs, std::int64_t rows,
                                                   std::int64_t columns) {
  return Assigner(std::move(costs), rows, columns).solve();
}

}  // namespace perturb::transport
