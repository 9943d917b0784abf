// Precompiled for the training half, which works on tensors (ATen) and needs none of torch::nn: a
// file takes 2 s with this, 13 s without, and 25 s with torch/torch.h. The build includes it,
// nobody else, hence no include guard.
#include <ATen/ATen.h>
#include <c10/util/Logging.h>
