// Which hidden units of a network may change places without changing what it computes, and doing
// it. A model declares this once; aligning, checking and permuting derive from the declaration.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <string>
#include <vector>

#include "perturb/weights/weights.h"

namespace perturb::weights {

/// Hidden units that can be put into any order, as long as every axis that counts them is put into
/// the same one.
struct UnitGroup {
  struct Axis {
    /// A parameter, or a buffer: running statistics go along with the units that they are of.
    std::string tensor;
    std::int64_t dimension = 0;
    /// Neighbours along the axis that belong to one unit: the pixels of a channel that was
    /// flattened, the rows of an attention head.
    std::int64_t block = 1;
    /// Where along the axis the first unit begins: units * block entries are of the group.
    std::int64_t offset = 0;
  };
  std::string name;  ///< of the layer whose outputs they are
  std::int64_t units = 0;
  std::vector<Axis> axes;
};

using Symmetry = std::vector<UnitGroup>;

/// Attention of several heads. Whole heads may change places, and inside a head the rows of queries
/// and keys together, and those of values together with what reads them.
struct Attention {
  std::string name;
  std::int64_t heads = 0;
  std::int64_t units = 0;  ///< of a head
  /// Where the heads' units lie, heads one after the other; `block` is 1, and `offset` where the
  /// first head begins.
  std::vector<UnitGroup::Axis> queries, keys, values;
  std::vector<UnitGroup::Axis> outputs;  ///< the columns that read the values

  /// "<name>.heads", and for every place of a head "<name>.head.<place>": what lies inside it after
  /// the heads have changed places.
  Symmetry groups() const;
};

/// By a group's name: unit i of the new network is unit order[i] of the old (int64, (units)).
/// Groups that are left out stay as they are.
using Relabelling = std::map<std::string, Tensor, std::less<>>;

/// One tensor of the axis in another order of its units.
Tensor permuted(const Tensor& tensor, const UnitGroup::Axis& axis, const Tensor& order);

/// The network with its units relabelled: the same function. Groups act one after the other, in the
/// order of `symmetry`.
Weights permuted(const Weights& network, const Symmetry& symmetry, const Relabelling& relabelling);

/// Uniformly drawn.
Relabelling random_relabelling(const Symmetry& symmetry, std::uint64_t seed);

/// What undoes it, where groups do not contain each other (as heads and what is inside do).
Relabelling inverse(const Relabelling& relabelling);

}  // namespace perturb::weights
