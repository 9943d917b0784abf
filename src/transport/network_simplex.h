// The network simplex method on a complete bipartite graph, for masses that are whole and positive.
//
// A basis is a spanning tree of rows and columns. It is kept strongly feasible (Cunningham, 1976):
// from every node some mass can still be sent towards the root; with exact masses no sequence of
// pivots returns to a tree, so that the method ends. See Ahuja, Magnanti and Orlin, Network Flows
// (1993), chapter 11.
#pragma once

#include <cstdint>
#include <vector>

namespace perturb::transport {

class NetworkSimplex {
 public:
  struct Entry {
    std::int64_t row;
    std::int64_t column;
    std::int64_t mass;
  };

  /// `costs` is rows x columns and has to outlive this. The masses of both sides have the same sum.
  NetworkSimplex(const std::vector<double>& costs, const std::vector<std::int64_t>& rows,
                 const std::vector<std::int64_t>& columns);

  void solve();

  /// The tree: rows + columns - 1 entries of the plan, some of mass zero.
  std::vector<Entry> plan() const;
  /// Of the rows, then of the columns: u_i + v_j <= C_ij up to 2^-42 of the greatest |C|.
  const std::vector<double>& potentials() const { return potential_; }

 private:
  struct Arc {
    std::int64_t row = -1;
    std::int64_t column = -1;
  };

  std::int64_t nodes() const { return n_ + m_; }
  bool is_row(std::int64_t node) const { return node < n_; }
  double cost(std::int64_t row, std::int64_t column) const;
  /// Of the arc between a node and its parent.
  double cost_above(std::int64_t node) const;

  void start(std::vector<std::int64_t> rows, std::vector<std::int64_t> columns);
  void hang(std::int64_t node, std::int64_t parent, std::int64_t mass);
  void unhang(std::int64_t node);
  /// Depths and potentials of everything below `top`, whose own are right.
  void refresh_below(std::int64_t top);
  /// An arc that is too dear in the tree's prices, or none.
  Arc entering();
  void pivot(Arc arc);

  const std::vector<double>& costs_;
  std::int64_t n_;
  std::int64_t m_;
  double tolerance_ = 0;
  std::int64_t next_row_ = 0;  ///< where the search for an arc goes on

  // The tree, by node: rows first, then columns. The arc to the parent carries `mass_`.
  std::vector<std::int64_t> parent_, first_child_, next_, previous_, depth_, mass_;
  std::vector<double> potential_;
  std::vector<std::int64_t> stack_;
};

}  // namespace perturb::transport
