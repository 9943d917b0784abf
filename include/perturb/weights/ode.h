// Integrating ordinary differential equations dx/dt = f(x, t) for tensors of any shape.
#pragma once

#include <cstdint>
#include <functional>

#include <ATen/core/Tensor.h>

namespace perturb::weights {

using Field = std::function<at::Tensor(const at::Tensor& x, double t)>;

/// Steps of equal length. The error falls with the step to the power of the order.
enum class Method {
  Euler,        ///< order 1, one evaluation a step
  Midpoint,     ///< order 2, two
  RungeKutta4,  ///< order 4, four: the classical one
};

struct Span {
  double from = 0;
  double to = 1;  ///< may lie before `from`
};

/// x at the end of the span. Throws Error(Usage) without a step.
at::Tensor integrate(const Field& field, const at::Tensor& x, Method method, std::int64_t steps,
                     const Span& span = {});

struct Tolerance {
  double relative = 1e-5;
  double absolute = 1e-7;
  std::int64_t most_steps = 10'000;  ///< rejected ones included
};

struct Integrated {
  at::Tensor x;
  bool reached = false;  ///< the end; otherwise x is where the steps ran out
  std::int64_t steps = 0;
  std::int64_t rejected = 0;
};

/// Steps as long as the error allows: Dormand and Prince, A family of embedded Runge-Kutta
/// formulae (1980), order 5 with the fourth-order solution as its estimate, in the norm of Hairer,
/// Norsett and Wanner, Solving ordinary differential equations I (1993), section II.4.
Integrated integrate(const Field& field, const at::Tensor& x, const Tolerance& tolerance,
                     const Span& span = {});

}  // namespace perturb::weights
