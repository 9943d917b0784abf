#include "perturb/weights/align.h"

#include <cmath>
#include <cstddef>
#include <vector>

#include <ATen/ATen.h>

#include "perturb/core/error.h"
#include "perturb/core/random.h"
#include "perturb/transport/assignment.h"

namespace perturb::weights {
namespace {

/// A gain under this is rounding.
constexpr double kGain = 1e-12;

/// (units, the rest): an axis' own entries, unit by unit.
Tensor by_unit(const Tensor& tensor, const UnitGroup& group, const UnitGroup::Axis& axis) {
  const auto own = tensor.narrow(axis.dimension, axis.offset, group.units * axis.block);
  return own.movedim(axis.dimension, 0).reshape({group.units, -1}).to(at::kDouble);
}

/// Order with the largest sum of gain[i][order[i]].
Tensor best_order(const Tensor& gain) {
  return transport::assign(gain, {.maximise = true}).columns;
}

double sum_of(const Tensor& gain, const Tensor& order) {
  return gain.gather(1, order.unsqueeze(1)).sum().item<double>();
}

class WeightMatching {
 public:
  WeightMatching(const Weights& network, const Weights& reference, const Symmetry& symmetry)
      : network_(network), reference_(reference), symmetry_(symmetry) {}

  Alignment from(Relabelling start, Random& random, int most_sweeps) {
    orders_ = std::move(start);
    Alignment out;
    for (int sweep = 0; sweep < most_sweeps && !out.converged; ++sweep) {
      out.converged = true;
      for (const auto number : random.permutation(symmetry_.size())) {
        if (improve(symmetry_[static_cast<std::size_t>(number)])) out.converged = false;
      }
    }
    out.relabelling = orders_;
    out.similarity = similarity();
    return out;
  }

 private:
  /// Whether another order of the group gains something while the others stay.
  bool improve(const UnitGroup& group) {
    auto others = orders_;
    others.erase(group.name);
    auto gain = at::zeros({group.units, group.units}, at::kDouble);
    for (const auto& axis : group.axes) {
      const auto mine = by_unit(relabelled(axis.tensor, others), group, axis);
      gain += by_unit(reference_.at(axis.tensor), group, axis).matmul(mine.t());
    }
    auto order = best_order(gain);
    auto& now = orders_.at(group.name);
    if (sum_of(gain, order) - sum_of(gain, now) <= kGain * gain.abs().max().item<double>())
      return false;
    now = std::move(order);
    return true;
  }

  Tensor relabelled(const std::string& name, const Relabelling& orders) const {
    auto tensor = network_.at(name);
    for (const auto& group : symmetry_) {
      const auto order = orders.find(group.name);
      if (order == orders.end()) continue;
      for (const auto& axis : group.axes) {
        if (axis.tensor == name) tensor = permuted(tensor, axis, order->second);
      }
    }
    return tensor;
  }

  double similarity() const {
    double sum = 0;
    for (const auto& [name, tensor] : reference_) {
      const auto mine = relabelled(name, orders_);
      sum += (tensor.to(at::kDouble) * mine.to(at::kDouble)).sum().item<double>();
    }
    return sum;
  }

  const Weights& network_;
  const Weights& reference_;
  const Symmetry& symmetry_;
  Relabelling orders_;
};

Relabelling as_they_are(const Symmetry& symmetry) {
  Relabelling out;
  for (const auto& group : symmetry) out.emplace(group.name, at::arange(group.units, at::kLong));
  return out;
}

/// Everything that is of the heads: (heads, units, the rest) of each tensor.
std::vector<Tensor> by_head(const Weights& network, const Attention& attention) {
  std::vector<Tensor> out;
  const UnitGroup all{"", attention.heads * attention.units, {}};
  for (const auto* axes :
       {&attention.queries, &attention.keys, &attention.values, &attention.outputs}) {
    for (const auto& axis : *axes)
      out.push_back(by_unit(network.at(axis.tensor), all, axis)
                        .reshape({attention.heads, attention.units, -1}));
  }
  return out;
}

/// Columns of mean 0 and length 1; those that never change become zeros.
Tensor standardised(const Tensor& activations) {
  auto x = activations.to(at::kDouble);
  x = x - x.mean(0);
  const auto length = x.norm(2, {0});
  return at::where(length > 0, x / length, at::zeros_like(x));
}

}  // namespace

Alignment match_weights(const Weights& network, const Weights& reference, const Symmetry& symmetry,
                        const AlignOptions& options) {
  if (options.starts < 1) throw Error(ExitCode::Usage, "an alignment needs at least one start");
  for (const auto& group : symmetry) {
    for (const auto& axis : group.axes) {
      const auto mine = network.find(axis.tensor);
      const auto other = reference.find(axis.tensor);
      if (mine == network.end() || other == reference.end() ||
          mine->second.sizes() != other->second.sizes())
        throw Error(ExitCode::Usage,
                    "the network and the reference differ in \"" + axis.tensor + "\"");
    }
  }
  WeightMatching matching(network, reference, symmetry);
  Alignment best;
  for (int start = 0; start < options.starts; ++start) {
    const auto number = static_cast<std::uint64_t>(start);
    Random random(options.seed, "align", number);
    auto found = matching.from(
        start == 0 ? as_they_are(symmetry) : random_relabelling(symmetry, random.bits()), random,
        options.most_sweeps);
    if (start == 0 || found.similarity > best.similarity) best = std::move(found);
  }
  return best;
}

Relabelling match_attention(const Weights& network, const Weights& reference,
                            const Attention& attention) {
  const auto mine = by_head(network, attention);
  const auto theirs = by_head(reference, attention);
  const auto heads = attention.heads;

  // Of each pair of heads: the best order inside, and what it gives.
  std::vector<std::vector<Tensor>> inside(static_cast<std::size_t>(heads));
  const auto similarity = at::zeros({heads, heads}, at::kDouble);
  for (std::int64_t head = 0; head < heads; ++head) {
    for (std::int64_t other = 0; other < heads; ++other) {
      auto gain = at::zeros({attention.units, attention.units}, at::kDouble);
      for (std::size_t i = 0; i < mine.size(); ++i)
        gain += theirs[i][head].matmul(mine[i][other].t());
      auto order = best_order(gain);
      similarity[head][other] = sum_of(gain, order);
      inside[static_cast<std::size_t>(head)].push_back(std::move(order));
    }
  }

  const auto paired = best_order(similarity);
  Relabelling out;
  out.emplace(attention.name + ".heads", paired);
  for (std::int64_t head = 0; head < heads; ++head) {
    const auto other = static_cast<std::size_t>(paired[head].item<std::int64_t>());
    out.emplace(attention.name + ".head." + std::to_string(head),
                inside[static_cast<std::size_t>(head)][other]);
  }
  return out;
}

Relabelling match_activations(const Activations& network, const Activations& reference) {
  Relabelling out;
  for (const auto& [name, theirs] : reference) {
    const auto mine = network.find(name);
    if (mine == network.end() || mine->second.sizes() != theirs.sizes())
      throw Error(ExitCode::Usage, "the network and the reference differ in the units of \"" +
                                       name + "\" or in their examples");
    out.emplace(name, best_order(standardised(theirs).t().matmul(standardised(mine->second))));
  }
  return out;
}

}  // namespace perturb::weights
