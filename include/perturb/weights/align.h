// Aligning one network to another: the relabelling of its hidden units that brings it nearest.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <string>

#include "perturb/weights/symmetry.h"

namespace perturb::weights {

struct AlignOptions {
  std::uint64_t seed = 0;  ///< of the order in which groups are looked at, and of random starts
  /// The first start leaves the units where they are, the others relabel them at random; the
  /// nearest end counts. More starts find more where networks are narrow and deep.
  int starts = 1;
  int most_sweeps = 1000;  ///< over all groups, from one start
};

struct Alignment {
  Relabelling relabelling;  ///< of the network, so that it lies near the reference
  /// <reference, relabelled network>, summed over the tensors that units are of. A relabelling
  /// keeps both norms, so the largest is the nearest.
  double similarity = 0;
  bool converged = false;  ///< otherwise the sweeps ran out
};

/// Weight matching: group after group takes the order that is best while the others stay, until
/// none gains anything. Every step is an assignment problem, none makes the similarity smaller.
///
/// Ainsworth, Hayase and Srinivasa, Git Re-Basin (2023), algorithm 1. Groups must not contain each
/// other (attention heads and what is inside them: match_attention does those).
Alignment match_weights(const Weights& network, const Weights& reference, const Symmetry& symmetry,
                        const AlignOptions& options = {});

/// Attention by itself: for each pair of heads the best order of what is inside, then the heads by
/// what those orders give. So the sum of products with the reference is the largest there is, and
/// the network never moves away from it. For the groups of `attention.groups()`.
///
/// Rinaldi et al., Update your transformer to the latest release: re-basin of task vectors (2025),
/// pair heads by the distance of their singular values, which is much the same for networks that
/// are far apart, and can tear apart those that are near.
Relabelling match_attention(const Weights& network, const Weights& reference,
                            const Attention& attention);

/// By a group's name: what its units did on some examples, (examples, units).
using Activations = std::map<std::string, Tensor, std::less<>>;

/// Activation matching: each group by itself takes the order with the largest sum of correlations
/// between paired units (ibid., section 3.1). Units that never change correlate with nothing.
Relabelling match_activations(const Activations& network, const Activations& reference);

}  // namespace perturb::weights
