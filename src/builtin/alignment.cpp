#include "builtin/alignment.h"

#include <string_view>
#include <utility>

#include <ATen/ATen.h>

#include "perturb/weights/align.h"

namespace perturb {
namespace {

/// Views of what belongs to one network, by name.
weights::Weights tensors_of(const FlatState& like, const Tensor& parameters,
                            const Tensor& buffers) {
  weights::Weights all;
  for (const auto& slice : like.layout()) all.emplace(slice.name, slice.of(parameters));
  for (const auto& slice : like.buffer_layout()) all.emplace(slice.name, slice.of(buffers));
  return all;
}

/// As weights::Attention::groups names them.
bool is_of_attention(std::string_view group) {
  return group.ends_with(".heads") || group.find(".head.") != std::string_view::npos;
}

}  // namespace

Aligner::Aligner(const FlatState& like, std::vector<weights::Attention> attentions,
                 const Tensor& parameters, const Tensor& buffers)
    : like_(like),
      reference_(tensors_of(like, parameters.detach().clone(), buffers.detach().clone())),
      attentions_(std::move(attentions)) {
  for (const auto& group : like.unit_groups()) {
    if (!is_of_attention(group.name)) others_.push_back(group);
  }
}

void Aligner::align(const Tensor& parameters, const Tensor& buffers) const {
  auto network = tensors_of(like_, parameters.detach(), buffers);
  for (const auto& attention : attentions_)
    network = weights::permuted(network, attention.groups(),
                                weights::match_attention(network, reference_, attention));
  network = weights::permuted(network, others_,
                              weights::match_weights(network, reference_, others_).relabelling);
  for (const auto& [name, place] : tensors_of(like_, parameters.detach(), buffers)) {
    // What has no units may still be the very view.
    place.copy_(network.at(name).clone());
  }
}

}  // namespace perturb
