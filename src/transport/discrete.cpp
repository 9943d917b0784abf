#include "perturb/transport/discrete.h"

#include <algorithm>
#include <limits>

#include <ATen/ATen.h>
#include <fmt/format.h>

#include "transport/envelope.h"
#include "transport/network_simplex.h"
#include "transport/whole_masses.h"

namespace perturb::transport {
namespace {

/// The entries of one side that have mass.
struct Support {
  std::vector<std::size_t> index;
  std::vector<std::int64_t> masses;

  explicit Support(const Doubles& weights) {
    const auto whole = whole_masses(weights);
    for (std::size_t i = 0; i < whole.size(); ++i) {
      if (whole[i] == 0) continue;
      index.push_back(i);
      masses.push_back(whole[i]);
    }
  }
};

/// The greatest prices that the other side's leave to entries without mass.
void complete(Doubles& prices, const Support& support, const Doubles& others,
              const auto& cost_between) {
  std::vector<bool> known(prices.size(), false);
  for (const auto i : support.index) known[i] = true;
  for (std::size_t i = 0; i < prices.size(); ++i) {
    if (known[i]) continue;
    prices[i] = std::numeric_limits<double>::infinity();
    for (std::size_t j = 0; j < others.size(); ++j)
      prices[i] = std::min(prices[i], cost_between(i, j) - others[j]);
  }
}

}  // namespace

DiscreteTransport discrete_transport(const Tensor& a, const Tensor& b, const Tensor& cost) {
  check_tensor("cost", cost, 2);
  const auto n = cost.size(0);
  const auto m = cost.size(1);
  check_weights("a", a, n);
  check_weights("b", b, m);
  const auto costs = doubles(cost);
  const auto columns = static_cast<std::size_t>(m);
  const Support left(doubles(a));
  const Support right(doubles(b));

  Doubles compact;
  compact.reserve(left.index.size() * right.index.size());
  for (const auto i : left.index) {
    for (const auto j : right.index) compact.push_back(costs[i * columns + j]);
  }
  NetworkSimplex simplex(compact, left.masses, right.masses);
  simplex.solve();

  double total = 0;
  Doubles plan(costs.size(), 0);
  for (const auto& [row, column, mass] : simplex.plan()) {
    const auto entry = left.index[static_cast<std::size_t>(row)] * columns +
                       right.index[static_cast<std::size_t>(column)];
    plan[entry] = share(mass);
    total += share(mass) * costs[entry];
  }
  Doubles f(static_cast<std::size_t>(n));
  Doubles g(columns, std::numeric_limits<double>::infinity());
  const auto& potentials = simplex.potentials();
  for (std::size_t i = 0; i < left.index.size(); ++i) f[left.index[i]] = potentials[i];
  for (std::size_t j = 0; j < right.index.size(); ++j)
    g[right.index[j]] = potentials[left.index.size() + j];
  // Rows see only the columns with mass (the others are infinite until they are known).
  Doubles known = g;
  for (auto& price : known)
    price = price == std::numeric_limits<double>::infinity() ? -price : price;
  complete(f, left, known, [&](std::size_t i, std::size_t j) { return costs[i * columns + j]; });
  complete(g, right, f, [&](std::size_t j, std::size_t i) { return costs[i * columns + j]; });

  DiscreteTransport out;
  out.plan = tensor_of(plan, {n, m});
  out.f = tensor_of(f, {n});
  out.g = tensor_of(g, {m});
  out.cost = with_slopes(total, cost,
                         {{cost, plan},
                          {a, through_proportions(f, doubles(a))},
                          {b, through_proportions(g, doubles(b))}});
  return out;
}

}  // namespace perturb::transport
