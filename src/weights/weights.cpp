#include "perturb/weights/weights.h"

#include <algorithm>

#include <ATen/ATen.h>

#include "perturb/core/error.h"

namespace perturb::weights {
namespace {

std::int64_t elements(const std::vector<std::int64_t>& shape) {
  std::int64_t product = 1;
  for (const auto size : shape) product *= size;
  return product;
}

void check_same_tensors(const Weights& a, const Weights& b) {
  for (const auto& [name, tensor] : a) {
    const auto other = b.find(name);
    if (other == b.end() || other->second.sizes() != tensor.sizes())
      throw Error(ExitCode::Usage,
                  "two networks differ in \"" + name + "\": they are of two models");
  }
  for (const auto& [name, tensor] : b) {
    if (!a.contains(name))
      throw Error(ExitCode::Usage, "only one of two networks has \"" + name + "\"");
  }
}

}  // namespace

std::int64_t length(const Layout& layout) {
  std::int64_t sum = 0;
  for (const auto& [name, shape] : layout) sum += elements(shape);
  return sum;
}

Tensor flattened(const Weights& network, const Layout& layout) {
  std::vector<Tensor> parts;
  for (const auto& [name, shape] : layout) {
    const auto found = network.find(name);
    if (found == network.end()) throw Error(ExitCode::Usage, "the network has no \"" + name + "\"");
    if (found->second.sizes() != at::IntArrayRef(shape))
      throw Error(ExitCode::Usage, "\"" + name + "\" of the network has another shape");
    parts.push_back(found->second.flatten());
  }
  return at::cat(parts);
}

Weights unflattened(const Tensor& vector, const Layout& layout) {
  if (vector.dim() != 1 || vector.numel() != length(layout)) {
    throw Error(ExitCode::Usage, "a vector of " + std::to_string(vector.numel()) +
                                     " numbers is no network of " + std::to_string(length(layout)));
  }
  Weights network;
  std::int64_t offset = 0;
  for (const auto& [name, shape] : layout) {
    const auto size = elements(shape);
    network.emplace(name, vector.narrow(0, offset, size).view(shape));
    offset += size;
  }
  return network;
}

Weights between(const Weights& a, const Weights& b, double t) {
  check_same_tensors(a, b);
  Weights out;
  for (const auto& [name, tensor] : a) {
    const auto& other = b.at(name);
    out.emplace(name, t == 0   ? tensor.clone()
                      : t == 1 ? other.clone()
                               : at::lerp(tensor, other, t));
  }
  return out;
}

Weights average(std::span<const Weights> networks) {
  if (networks.empty()) throw Error(ExitCode::Usage, "there is no network to take a mean of");
  Weights out;
  for (const auto& network : networks) check_same_tensors(networks.front(), network);
  for (const auto& [name, tensor] : networks.front()) {
    auto sum = at::zeros(tensor.sizes(), tensor.options().dtype(at::kDouble));
    for (const auto& network : networks) sum += network.at(name);
    out.emplace(name, (sum / static_cast<double>(networks.size())).to(tensor.dtype()));
  }
  return out;
}

double barrier(std::span<const double> losses) {
  double highest = 0;
  for (std::size_t i = 0; i < losses.size(); ++i) {
    const double along = static_cast<double>(i) / static_cast<double>(losses.size() - 1);
    const double line = losses.front() + along * (losses.back() - losses.front());
    highest = std::max(highest, losses[i] - line);
  }
  return highest;
}

}  // namespace perturb::weights
