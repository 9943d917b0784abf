// A fixed number of numbers side by side: 64 bytes, whatever the processor has. What is wider than
// its registers is split by the compiler, so that every machine adds in the same order and gives
// the same bits.
//
// Everything here is inlined into functions compiled for several processors (softmin_pass.cpp).
#pragma once

#include <cstdint>

// About the calling convention of functions that are never called.
#pragma GCC diagnostic ignored "-Wpsabi"

#define PERTURB_INLINE [[gnu::always_inline]] inline

namespace perturb::transport {

template <class T>
struct LanesOf;

template <>
struct LanesOf<float> {
  using Type = float __attribute__((vector_size(64)));
  using Anywhere = float __attribute__((vector_size(64), aligned(4), may_alias));
  using Bits = std::int32_t __attribute__((vector_size(64)));
  static constexpr int kCount = 16;
  static constexpr int kMantissa = 23;
  static constexpr float kMagic = 0x1.8p23F;  // adding it rounds to a whole number
  static constexpr float kLimit = 126;        // 2^126 and 2^-126 are normal numbers
};

template <>
struct LanesOf<double> {
  using Type = double __attribute__((vector_size(64)));
  using Anywhere = double __attribute__((vector_size(64), aligned(8), may_alias));
  using Bits = std::int64_t __attribute__((vector_size(64)));
  using BitsAnywhere = std::int64_t __attribute__((vector_size(64), aligned(8), may_alias));
  static constexpr int kCount = 8;
  static constexpr int kMantissa = 52;
  static constexpr double kMagic = 0x1.8p52;
  static constexpr double kLimit = 1020;
};

template <class T>
using Lanes = typename LanesOf<T>::Type;

template <class T>
PERTURB_INLINE Lanes<T> load(const T* from) {
  return *reinterpret_cast<const typename LanesOf<T>::Anywhere*>(from);
}

template <class T>
PERTURB_INLINE void store(T* to, const Lanes<T>& lanes) {
  *reinterpret_cast<typename LanesOf<T>::Anywhere*>(to) = lanes;
}

/// The sum in a fixed order.
template <class T>
PERTURB_INLINE double sum(const Lanes<T>& lanes) {
  double part[4] = {0, 0, 0, 0};
  for (int k = 0; k < LanesOf<T>::kCount; ++k) part[k % 4] += static_cast<double>(lanes[k]);
  return (part[0] + part[1]) + (part[2] + part[3]);
}

/// Vectors of it need -fno-math-errno (meson.build).
template <class T>
PERTURB_INLINE Lanes<T> square_root(const Lanes<T>& x) {
  Lanes<T> root;
  for (int k = 0; k < LanesOf<T>::kCount; ++k) {
    if constexpr (sizeof(T) == sizeof(float)) {
      root[k] = __builtin_sqrtf(x[k]);
    } else {
      root[k] = __builtin_sqrt(x[k]);
    }
  }
  return root;
}

/// 2^t, to 1.2e-7 of its value in float and 5e-16 in double (beside what the rounding of t does);
/// t outside of +-kLimit counts as if it were there. Polynomials of least relative error on
/// [-1/2, 1/2] by Remez' algorithm.
template <class T>
PERTURB_INLINE Lanes<T> exp2(const Lanes<T>& power_of_two) {
  using Of = LanesOf<T>;
  const Lanes<T> high = Lanes<T>{} + Of::kLimit;
  Lanes<T> t = power_of_two < high ? power_of_two : high;
  t = t > -high ? t : -high;
  const Lanes<T> shifted = t + Of::kMagic;
  const Lanes<T> r = t - (shifted - Of::kMagic);
  Lanes<T> p;
  if constexpr (sizeof(T) == sizeof(float)) {
    p = Lanes<T>{} + 0.0013276472631950876F;
    p = p * r + 0.0096755413431213274F;
    p = p * r + 0.055507132718556442F;
    p = p * r + 0.24022119723710720F;
    p = p * r + 0.69314696706503521F;
    p = p * r + 1.0000000716547141F;
  } else {
    p = Lanes<T>{} + 4.4352827069572771511e-10;
    p = p * r + 7.0741056135081427963e-9;
    p = p * r + 1.0178198021671930844e-7;
    p = p * r + 1.321543308967639918e-6;
    p = p * r + 0.000015252733489988525649;
    p = p * r + 0.00015403530462514432062;
    p = p * r + 0.0013333558146789921722;
    p = p * r + 0.0096181291075883352443;
    p = p * r + 0.055504108664819921605;
    p = p * r + 0.24022650695910156204;
    p = p * r + 0.69314718055994533046;
    p = p * r + 0.9999999999999999971;
  }
  // The magic number's own bits leave at the upper end.
  using Bits = typename Of::Bits;
  const Bits power = reinterpret_cast<Bits>(shifted) << Of::kMantissa;
  return reinterpret_cast<Lanes<T>>(reinterpret_cast<Bits>(p) + power);
}

}  // namespace perturb::transport
