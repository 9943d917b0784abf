// Which of the versions of a loop this machine runs. All give the same bits: they have the same
// lanes (lanes.h), and none contracts a product and a sum (-ffp-contract=off).
#pragma once

namespace perturb::transport {

enum class Processor {
  Plain,   ///< whatever the program was built for
  Middle,  ///< AVX2
  Wide,    ///< AVX-512
};

inline Processor processor() {
#if defined(__x86_64__)
  static const Processor found =
      __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
              __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512vl")
          ? Processor::Wide
      : __builtin_cpu_supports("avx2") ? Processor::Middle
                                       : Processor::Plain;
  return found;
#else
  return Processor::Plain;
#endif
}

}  // namespace perturb::transport

/// The attributes of a function for each of them.
#define PERTURB_MIDDLE __attribute__((target("avx2")))
#define PERTURB_WIDE \
  __attribute__((target("avx512f,avx512bw,avx512dq,avx512vl,prefer-vector-width=512")))
