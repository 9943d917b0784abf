// A state as a file: safetensors, readable from Python. Complete, so that whoever goes on from it
// computes the same bits as whoever never stopped; the same state gives the same bytes.
//
// Tensors: parameters and buffers under their names, then "optimizer.moment.<n>", each one flat
// vector in the parameters' order. Metadata: "optimizer" (kind), "updates", "step", "format" ("pt",
// which some readers ask for).
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "perturb/train/flat_state.h"

namespace perturb {

/// `optimizer`: the kind that the moments belong to.
std::string to_safetensors(const FlatState& state, const std::string& optimizer, std::int64_t step);

/// Puts parameters and buffers of what `to_safetensors` wrote, of whatever model and optimizer, in
/// place of those of `state`. Throws Error(Usage), in words that go on from a name of the file's
/// model, when it does not have the same tensors.
void begin_with(std::string_view bytes, FlatState& state);

/// What `to_safetensors` wrote, for a state laid out like `like`. Throws Error(Store) when the file
/// is none, or of another model.
Snapshot snapshot_from(std::string_view bytes, const FlatState& like);

}  // namespace perturb
