// Alignment of networks that lie in flat vectors: hidden units move to where those of a reference
// are that do the same, and the network computes what it did.
#pragma once

#include <vector>

#include "perturb/train/flat_state.h"
#include "perturb/weights/symmetry.h"
#include "perturb/weights/weights.h"

namespace perturb {

class Aligner {
 public:
  /// To the network with these parameters and buffers, which are copied; `like` is laid out as they
  /// are and must outlive the aligner. Heads of attention, and what is inside them, stay where they
  /// are unless they are among `attentions`.
  Aligner(const FlatState& like, std::vector<weights::Attention> attentions,
          const Tensor& parameters, const Tensor& buffers);

  /// In place: attention first (weights::match_attention), then the other units
  /// (weights::match_weights). The same result whoever asks.
  void align(const Tensor& parameters, const Tensor& buffers) const;

 private:
  const FlatState& like_;
  weights::Weights reference_;
  std::vector<weights::Attention> attentions_;
  weights::Symmetry others_;  ///< groups that are not of attention
};

}  // namespace perturb
