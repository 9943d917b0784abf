// Functions whose loops become vector code, compiled for several processors and chosen when the
// program starts. Without contraction (meson.build) the bits are the same for all of them, as long
// as the function adds up in an order of its own.
#pragma once

#if defined(__x86_64__) && defined(__GNUC__) && !defined(__clang__) && \
    !defined(__SANITIZE_ADDRESS__)
#define PERTURB_FOR_EACH_CPU __attribute__((target_clones("avx512f", "avx2", "default")))
#else
#define PERTURB_FOR_EACH_CPU
#endif
