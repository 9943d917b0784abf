// A critic: a small network that estimates how far apart two sets of points are, u with the largest
// E u(x) - E u(y) among functions that are not too steep. Knows nothing of generators.
//
// Its weights and what its optimizer remembers can be buffers of a model: state that goes along and
// is saved, which no other optimizer and no intervention on weights touches.
//
// Arjovsky, Chintala, Bottou: Wasserstein GAN (2017); Gulrajani et al.: Improved training of
// Wasserstein GANs (2017); one-sided: Petzka, Fischer, Lukovnikov (2018).
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "perturb/core/random.h"
#include "perturb/experiment/condition.h"
#include "perturb/train/model.h"

namespace perturb {

/// How it is kept from being too steep.
enum class Steepness {
  Clipped,   ///< every weight is clamped to [-clip, clip] after each update
  Penalty,   ///< lambda E (|grad u| - 1)^2 is added to the loss
  OneSided,  ///< lambda E (|grad u| - 1)_+^2: only what is too steep
};

struct CriticOptions {
  std::int64_t coordinates = 2;  ///< of a point
  std::int64_t width = 256;      ///< units of a hidden layer
  std::int64_t layers = 3;       ///< hidden ones
  bool tanh = false;             ///< after hidden layers, instead of LeakyReLU(0.2)
  double lr = 2e-4;              ///< of Adam, like the next two
  double beta1 = 0;
  double beta2 = 0.9;
  Steepness steepness = Steepness::Penalty;
  double lambda = 10;
  double clip = 0.01;
  /// Times E (u^2 + |grad u|^2) at the interpolates, whose density is sigma: the weighted Sobolev
  /// norm.
  double sobolev = 0;
};

/// As `task.critic_*` and what steepness needs say; what the task does not have stays as it is.
CriticOptions critic_options(const Condition& condition, std::int64_t coordinates);

class Critic {
 public:
  explicit Critic(const CriticOptions& options);

  /// Draws its weights, as kaiming-uniform does, from (seed, "init/critic.fc1.weight", step) and so
  /// on, and forgets what Adam remembered.
  void draw(std::uint64_t seed, std::uint64_t step = 0);
  void to(c10::Device device) const;
  /// Makes weights and memory buffers of the model: critic.fc1.weight, ..., critic.m, critic.v,
  /// critic.updates.
  void carry_in(Model& model) const;

  /// u at points (n, d): (n).
  Tensor operator()(const Tensor& points) const;
  /// grad u (n, d). With history if it is to be differentiated.
  Tensor gradient(const Tensor& points, bool history = false) const;

  /// One update of Adam toward the largest E u(real) - E u(fake) that steepness allows; both (n,
  /// d), without history. Where penalties look, `mix` (n) in [0, 1] says: at mix real + (1 - mix)
  /// fake.
  void update(const Tensor& real, const Tensor& fake, const Tensor& mix);

  /// Leaves, layer by layer.
  const std::vector<Tensor>& weights() const { return weights_; }

 private:
  Tensor penalties(const Tensor& points) const;
  void adam(const std::vector<Tensor>& gradients);

  CriticOptions options_;
  std::vector<Tensor> weights_;
  Tensor m_, v_;    ///< of Adam, one vector each
  Tensor updates_;  ///< (1), a float: whole numbers up to 2^24, where corrections are long 1
};

/// |g| of each row of g (n, d), whose derivative is 0 where g is.
Tensor row_norms(const Tensor& gradients);

}  // namespace perturb
