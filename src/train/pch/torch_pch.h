// Precompiled for the training half, where torch/torch.h alone costs half a minute a file. Not
// included by anybody (the build does), hence no include guard.
#include <torch/torch.h>
