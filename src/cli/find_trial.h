// How people name a trial of a store: by the first digits of its id, or by its place in an
// experiment.
#pragma once

#include <cstdint>
#include <string>

#include "perturb/core/digest.h"
#include "perturb/store/store.h"

namespace perturb {

struct FoundTrial {
  Digest trial;
  std::string experiment;
  std::int64_t number = 0;
};

/// "1a2b3c" (at least four digits) or "momentum:14". Throws Error(Usage) when no declared trial of
/// the store, or more than one, is meant.
FoundTrial find_trial(const Store& store, const std::string& text);

/// Whether the text can be such a name at all, rather than that of a file.
bool may_name_trial(const std::string& text);

}  // namespace perturb
