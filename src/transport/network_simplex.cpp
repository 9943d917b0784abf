#include "transport/network_simplex.h"

#include <algorithm>
#include <cassert>
#include <cmath>
#include <limits>

namespace perturb::transport {
namespace {

constexpr std::int64_t kNone = -1;
/// A reduced cost that is less negative, relative to the greatest cost, is rounding: potentials are
/// sums of costs along a path.
constexpr double kTolerance = 0x1p-42;

std::size_t at(std::int64_t node) { return static_cast<std::size_t>(node); }

}  // namespace

NetworkSimplex::NetworkSimplex(const std::vector<double>& costs,
                               const std::vector<std::int64_t>& rows,
                               const std::vector<std::int64_t>& columns)
    : costs_(costs),
      n_(static_cast<std::int64_t>(rows.size())),
      m_(static_cast<std::int64_t>(columns.size())) {
  const auto count = at(nodes());
  for (auto* links : {&parent_, &first_child_, &next_, &previous_}) links->assign(count, kNone);
  depth_.assign(count, 0);
  mass_.assign(count, 0);
  potential_.assign(count, 0);
  for (const double c : costs_) tolerance_ = std::max(tolerance_, std::abs(c));
  tolerance_ *= kTolerance;
  start(rows, columns);
}

double NetworkSimplex::cost(std::int64_t row, std::int64_t column) const {
  return costs_[at(row * m_ + column)];
}

double NetworkSimplex::cost_above(std::int64_t node) const {
  const auto parent = parent_[at(node)];
  return is_row(node) ? cost(node, parent - n_) : cost(parent, node - n_);
}

/// The north-west corner's staircase, with the last column as the root. Where a row and a column
/// are used up together, the column is closed first: its arc points away from the root and has to
/// carry mass, while the row's points to the root and may be empty.
void NetworkSimplex::start(std::vector<std::int64_t> rows, std::vector<std::int64_t> columns) {
  std::int64_t i = 0;
  std::int64_t j = 0;
  while (i < n_ - 1 || j < m_ - 1) {
    const auto moved = std::min(rows[at(i)], columns[at(j)]);
    rows[at(i)] -= moved;
    columns[at(j)] -= moved;
    if (j < m_ - 1 && (columns[at(j)] == 0 || i == n_ - 1)) {
      hang(n_ + j, i, moved);
      ++j;
    } else {
      hang(i, n_ + j, moved);
      ++i;
    }
  }
  hang(i, n_ + j, rows[at(i)]);
  refresh_below(n_ + m_ - 1);
}

void NetworkSimplex::hang(std::int64_t node, std::int64_t parent, std::int64_t mass) {
  parent_[at(node)] = parent;
  mass_[at(node)] = mass;
  const auto sibling = first_child_[at(parent)];
  next_[at(node)] = sibling;
  previous_[at(node)] = kNone;
  if (sibling != kNone) previous_[at(sibling)] = node;
  first_child_[at(parent)] = node;
}

void NetworkSimplex::unhang(std::int64_t node) {
  const auto before = previous_[at(node)];
  const auto after = next_[at(node)];
  if (after != kNone) previous_[at(after)] = before;
  if (before != kNone) {
    next_[at(before)] = after;
  } else {
    first_child_[at(parent_[at(node)])] = after;
  }
}

void NetworkSimplex::refresh_below(std::int64_t top) {
  stack_.assign(1, top);
  while (!stack_.empty()) {
    const auto node = stack_.back();
    stack_.pop_back();
    for (auto child = first_child_[at(node)]; child != kNone; child = next_[at(child)]) {
      depth_[at(child)] = depth_[at(node)] + 1;
      // From the parent's alone, not by adding a change: rounding does not pile up over pivots.
      potential_[at(child)] = cost_above(child) - potential_[at(node)];
      stack_.push_back(child);
    }
  }
}

/// The worst arc of some rows, beginning where the last search ended: whole rows, as many as make
/// about the square root of all arcs.
NetworkSimplex::Arc NetworkSimplex::entering() {
  const auto at_least = std::max<std::int64_t>(
      1, static_cast<std::int64_t>(std::sqrt(static_cast<double>(n_) / static_cast<double>(m_))));
  const double* column_potentials = potential_.data() + n_;
  Arc best;
  double worst = -tolerance_;
  for (std::int64_t scanned = 0; scanned < n_; ++scanned) {
    if (best.row != kNone && scanned >= at_least && scanned % at_least == 0) break;
    const auto row = next_row_;
    next_row_ = next_row_ + 1 == n_ ? 0 : next_row_ + 1;
    const double* costs = costs_.data() + row * m_;
    const double price = potential_[at(row)];
    for (std::int64_t j = 0; j < m_; ++j) {
      const double reduced = costs[j] - price - column_potentials[j];
      if (reduced < worst) {
        worst = reduced;
        best = {row, j};
      }
    }
  }
  return best;
}

/// Mass goes round the cycle row -> column -> apex -> row. Of the arcs that run out first, the last
/// one met from the apex on in that direction leaves: this keeps the tree strongly feasible.
void NetworkSimplex::pivot(Arc arc) {
  const auto row = arc.row;
  const auto column = n_ + arc.column;
  // On the row's side the cycle runs from the apex down: mass falls on arcs from a row up to its
  // column. On the column's side it runs up: mass falls on arcs from a column up to its row.
  std::int64_t least = std::numeric_limits<std::int64_t>::max();
  std::int64_t leaving = kNone;
  bool on_row_side = true;
  auto p = row;
  auto q = column;
  while (p != q) {
    if (depth_[at(p)] >= depth_[at(q)]) {
      // Met from below: the first of equals on this side is the last in the cycle's direction.
      if (is_row(p) && (mass_[at(p)] < least || (mass_[at(p)] == least && leaving == kNone))) {
        least = mass_[at(p)];
        leaving = p;
        on_row_side = true;
      }
      p = parent_[at(p)];
    } else {
      q = parent_[at(q)];
    }
  }
  const auto apex = p;
  for (q = column; q != apex; q = parent_[at(q)]) {
    if (!is_row(q) && mass_[at(q)] <= least) {
      least = mass_[at(q)];
      leaving = q;
      on_row_side = false;
    }
  }
  assert(leaving != kNone);

  for (p = row; p != apex; p = parent_[at(p)]) mass_[at(p)] += is_row(p) ? -least : least;
  for (q = column; q != apex; q = parent_[at(q)]) mass_[at(q)] += is_row(q) ? least : -least;

  // What hangs on the leaving arc is turned over, so that it hangs on the entering one.
  auto node = on_row_side ? row : column;
  auto above = on_row_side ? column : row;
  const auto top = node;
  auto mass = least;
  while (true) {
    const auto old_parent = parent_[at(node)];
    const auto old_mass = mass_[at(node)];
    unhang(node);
    hang(node, above, mass);
    if (node == leaving) break;
    above = node;
    node = old_parent;
    mass = old_mass;
  }
  const auto hook = parent_[at(top)];
  depth_[at(top)] = depth_[at(hook)] + 1;
  potential_[at(top)] = cost_above(top) - potential_[at(hook)];
  refresh_below(top);
}

void NetworkSimplex::solve() {
  for (auto arc = entering(); arc.row != kNone; arc = entering()) pivot(arc);
}

std::vector<NetworkSimplex::Entry> NetworkSimplex::plan() const {
  std::vector<Entry> entries;
  for (std::int64_t node = 0; node < nodes(); ++node) {
    const auto parent = parent_[at(node)];
    if (parent == kNone) continue;
    entries.push_back(is_row(node) ? Entry{node, parent - n_, mass_[at(node)]}
                                   : Entry{parent, node - n_, mass_[at(node)]});
  }
  return entries;
}

}  // namespace perturb::transport
