// The tensors that PyTorch saved: torch.save of a dictionary of tensors, in the zip format of
// PyTorch 1.6 and later.
//
// Such a file is a pickle, which is a program. Law: it is read, never run. What it says it would
// call is compared with the few names that a dictionary of tensors needs, and anything else refuses
// the file; every size and offset is checked before it is used, and what is made of a file is at
// most a few times as large as the file.
#pragma once

#include <deque>
#include <string>
#include <string_view>
#include <vector>

#include "perturb/core/safetensors.h"

namespace perturb {

struct StateDict {
  /// In the order of the dictionary. `bytes` point into the file, or into `copies` where PyTorch
  /// kept a tensor otherwise than row by row.
  std::vector<StoredTensor> tensors;
  std::vector<std::string> others;  ///< keys of what is no tensor, in order
  std::deque<std::string> copies;
};

/// `entry`: which dictionary of a checkpoint that has several, as in {"model": {...}, "epoch": 3}.
/// `bytes` must outlive the result. Throws Error(Usage), which says what is wrong and what to do in
/// Python.
StateDict read_state_dict(std::string_view bytes, const std::string& entry = {});

}  // namespace perturb
