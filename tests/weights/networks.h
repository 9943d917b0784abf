// Small networks as weights, with the function that they compute.
#pragma once

#include <string>
#include <vector>

#include <ATen/ATen.h>

#include "perturb/core/random.h"
#include "perturb/weights/symmetry.h"

namespace perturb::weights {

inline at::Tensor random_normal(std::uint64_t seed, const std::string& name,
                                const std::vector<std::int64_t>& shape) {
  auto tensor = at::empty(shape, at::kFloat);
  Random(seed, name)
      .fill_normal({tensor.data_ptr<float>(), static_cast<std::size_t>(tensor.numel())});
  return tensor;
}

/// Fully connected layers with ReLU between them: "fc1.weight" (out, in), "fc1.bias", ...
struct Mlp {
  std::vector<std::int64_t> widths;

  Weights random(std::uint64_t seed) const {
    Weights network;
    for (std::size_t i = 1; i < widths.size(); ++i) {
      const auto name = "fc" + std::to_string(i);
      network.emplace(name + ".weight", random_normal(seed, name, {widths[i], widths[i - 1]}) /
                                            std::sqrt(static_cast<double>(widths[i - 1])));
      network.emplace(name + ".bias", random_normal(seed, name + "b", {widths[i]}));
    }
    return network;
  }

  Symmetry symmetry() const {
    Symmetry groups;
    for (std::size_t i = 1; i + 1 < widths.size(); ++i) {
      const auto name = "fc" + std::to_string(i);
      groups.push_back(
          {name,
           widths[i],
           {{name + ".weight"}, {name + ".bias"}, {"fc" + std::to_string(i + 1) + ".weight", 1}}});
    }
    return groups;
  }

  at::Tensor operator()(const Weights& network, at::Tensor x) const {
    for (std::size_t i = 1; i < widths.size(); ++i) {
      const auto name = "fc" + std::to_string(i);
      x = x.matmul(network.at(name + ".weight").t()) + network.at(name + ".bias");
      if (i + 1 < widths.size()) x = x.relu();
    }
    return x;
  }
};

inline bool same_bits(const Weights& a, const Weights& b) {
  for (const auto& [name, tensor] : a) {
    if (!at::equal(tensor, b.at(name))) return false;
  }
  return a.size() == b.size();
}

}  // namespace perturb::weights
