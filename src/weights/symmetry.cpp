#include "perturb/weights/symmetry.h"

#include <cstddef>
#include <string>
#include <utility>

#include <ATen/ATen.h>

#include "perturb/core/error.h"
#include "perturb/core/random.h"

namespace perturb::weights {

Symmetry Attention::groups() const {
  UnitGroup whole{name + ".heads", heads, {}};
  Symmetry out;
  for (const auto* axes : {&queries, &keys, &values, &outputs}) {
    for (auto axis : *axes) {
      axis.block = units;
      whole.axes.push_back(axis);
    }
  }
  out.push_back(std::move(whole));
  for (std::int64_t head = 0; head < heads; ++head) {
    UnitGroup inside{name + ".head." + std::to_string(head), units, {}};
    for (const auto* axes : {&queries, &keys, &values, &outputs}) {
      for (auto axis : *axes) {
        axis.offset += head * units;
        inside.axes.push_back(axis);
      }
    }
    out.push_back(std::move(inside));
  }
  return out;
}

Tensor permuted(const Tensor& tensor, const UnitGroup::Axis& axis, const Tensor& order) {
  const auto whole = order.options();
  // Unit by unit: (units, block) along the axis.
  const auto moved = axis.offset + order.unsqueeze(1) * axis.block + at::arange(axis.block, whole);
  auto places = at::arange(tensor.size(axis.dimension), whole);
  places.narrow(0, axis.offset, moved.numel()).copy_(moved.flatten());
  return tensor.index_select(axis.dimension, places.to(tensor.device()));
}

Weights permuted(const Weights& network, const Symmetry& symmetry, const Relabelling& relabelling) {
  auto out = network;
  for (const auto& group : symmetry) {
    const auto order = relabelling.find(group.name);
    if (order == relabelling.end()) continue;
    for (const auto& axis : group.axes) {
      const auto found = out.find(axis.tensor);
      if (found == out.end())
        throw Error(ExitCode::Usage, "the network has no \"" + axis.tensor + "\"");
      found->second = permuted(found->second, axis, order->second);
    }
  }
  return out;
}

Relabelling random_relabelling(const Symmetry& symmetry, std::uint64_t seed) {
  Relabelling out;
  for (const auto& group : symmetry) {
    Random random(seed, "relabelling/" + group.name);
    out.emplace(group.name,
                at::tensor(random.permutation(static_cast<std::size_t>(group.units)), at::kLong));
  }
  return out;
}

Relabelling inverse(const Relabelling& relabelling) {
  Relabelling out;
  for (const auto& [name, order] : relabelling) out.emplace(name, order.argsort());
  return out;
}

}  // namespace perturb::weights
