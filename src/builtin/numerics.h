// What LibTorch computes with on this machine.
#pragma once

#include "perturb/train/engine.h"

namespace perturb {

/// With `measure`, times float32 matrix products for some 0.3 s in the calling thread.
Numerics find_numerics(bool measure);

}  // namespace perturb
