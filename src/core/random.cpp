#include "perturb/core/random.h"

#include <bit>
#include <cmath>
#include <cstring>
#include <numeric>
#include <string>
#include <utility>

#include "perturb/core/digest.h"
#include "perturb/core/for_each_cpu.h"

// What is called in their loops has to be part of them.
#ifdef __GNUC__
#define PERTURB_INLINE __attribute__((always_inline)) inline
#else
#define PERTURB_INLINE inline
#endif

namespace perturb {
namespace {

std::pair<std::uint32_t, std::uint32_t> multiply(std::uint32_t a, std::uint32_t b) {
  const auto product = std::uint64_t{a} * b;
  return {static_cast<std::uint32_t>(product >> 32), static_cast<std::uint32_t>(product)};
}

// Plain arithmetic in a fixed order instead of the library's logarithm, sine and cosine: the same
// bits on every machine, and the compiler makes vector code of it.

/// log(x) of a normal float in (0, 1], to 2 units in the last place.
PERTURB_INLINE float log_of(float x) {
  auto bits = std::bit_cast<std::uint32_t>(x);
  // x = m 2^e with m in [sqrt(1/2), sqrt(2)).
  const auto shifted = static_cast<std::int32_t>(bits - 0x3F3504F3U);
  const auto exponent = shifted >> 23;
  bits -= static_cast<std::uint32_t>(exponent) << 23;
  const float t = std::bit_cast<float>(bits) - 1;
  const float e = static_cast<float>(exponent);
  // Moshier, Cephes mathematical library, logf.
  const float z = t * t;
  float p = 7.0376836292e-2F;
  p = p * t - 1.1514610310e-1F;
  p = p * t + 1.1676998740e-1F;
  p = p * t - 1.2420140846e-1F;
  p = p * t + 1.4249322787e-1F;
  p = p * t - 1.6668057665e-1F;
  p = p * t + 2.0000714765e-1F;
  p = p * t - 2.4999993993e-1F;
  p = p * t + 3.3333331174e-1F;
  float y = t * z * p;
  y += e * -2.12194440e-4F;
  y -= 0.5F * z;
  return t + y + e * 0.693359375F;
}

/// Two independent normal draws from two words (Box and Muller, 1958).
struct TwoNormal {
  float first;
  float second;
};

PERTURB_INLINE TwoNormal two_normal(std::uint32_t a, std::uint32_t b) {
  // (0, 1] for the radius: the logarithm of 0 never comes up.
  const float u = static_cast<float>(static_cast<std::int32_t>(a >> 8) + 1) * 0x1p-24F;
  const float radius = std::sqrt(-2 * log_of(u));
  // The angle is 2 pi v, v = k / 2^24: exactly a number of quarter turns and what is left of it,
  // between -1/2 and 1/2 of one.
  const auto k = static_cast<std::int32_t>(b >> 8);
  const auto quarter = (k + (1 << 21)) >> 22;
  const float r = static_cast<float>(k - quarter * (1 << 22)) * (0x1p-22F * 1.57079632679F);
  const float z = r * r;
  // Cephes, sinf and cosf.
  const float sine =
      r + r * z * (-1.6666654611e-1F + z * (8.3321608736e-3F - z * 1.9515295891e-4F));
  const float cosine =
      1 - 0.5F * z +
      z * z * (4.166664568298827e-2F + z * (-1.388731625493765e-3F + z * 2.443315711809948e-5F));
  // Bits instead of branches: odd quarters swap the two, and each has its sign in two of the four.
  const auto s = std::bit_cast<std::uint32_t>(sine);
  const auto c = std::bit_cast<std::uint32_t>(cosine);
  const auto turn = static_cast<std::uint32_t>(quarter);
  const std::uint32_t swapped = (s ^ c) & (0U - (turn & 1));
  const float x = std::bit_cast<float>(c ^ swapped ^ (((turn + 1) & 2) << 30));
  const float y = std::bit_cast<float>(s ^ swapped ^ ((turn & 2) << 30));
  return {radius * x, radius * y};
}

float uniform_of(std::uint32_t word) {
  return static_cast<float>(static_cast<std::int32_t>(word >> 8)) * 0x1p-24F;
}

constexpr std::size_t kLanes = 64;  // blocks at once

struct Blocks {
  std::uint32_t words[4][kLanes];
};

/// Blocks `first`, `first` + 1, ... of the sequence.
PERTURB_FOR_EACH_CPU
void many_blocks(std::uint64_t first, std::array<std::uint32_t, 2> address,
                 std::array<std::uint32_t, 2> key, Blocks& out) {
  auto& [c0, c1, c2, c3] = out.words;
  for (std::size_t i = 0; i < kLanes; ++i) {
    c0[i] = static_cast<std::uint32_t>(first + i);
    c1[i] = static_cast<std::uint32_t>((first + i) >> 32);
    c2[i] = address[0];
    c3[i] = address[1];
  }
  for (int round = 0; round < 10; ++round) {
    for (std::size_t i = 0; i < kLanes; ++i) {
      const auto product0 = std::uint64_t{c0[i]} * 0xD2511F53U;
      const auto product1 = std::uint64_t{c2[i]} * 0xCD9E8D57U;
      c0[i] = static_cast<std::uint32_t>(product1 >> 32) ^ c1[i] ^ key[0];
      c1[i] = static_cast<std::uint32_t>(product1);
      c2[i] = static_cast<std::uint32_t>(product0 >> 32) ^ c3[i] ^ key[1];
      c3[i] = static_cast<std::uint32_t>(product0);
    }
    key[0] += 0x9E3779B9U;
    key[1] += 0xBB67AE85U;
  }
}

/// What uniform() and normal() make of these blocks one after the other.
PERTURB_FOR_EACH_CPU
void uniform_blocks(const Blocks& in, float* out) {
  const auto& [c0, c1, c2, c3] = in.words;
  for (std::size_t i = 0; i < kLanes; ++i) {
    out[4 * i] = uniform_of(c0[i]);
    out[4 * i + 1] = uniform_of(c1[i]);
    out[4 * i + 2] = uniform_of(c2[i]);
    out[4 * i + 3] = uniform_of(c3[i]);
  }
}

PERTURB_FOR_EACH_CPU
void normal_blocks(const Blocks& in, float* out) {
  const auto& [c0, c1, c2, c3] = in.words;
  for (std::size_t i = 0; i < kLanes; ++i) {
    const auto a = two_normal(c0[i], c1[i]);
    const auto b = two_normal(c2[i], c3[i]);
    out[4 * i] = a.first;
    out[4 * i + 1] = a.second;
    out[4 * i + 2] = b.first;
    out[4 * i + 3] = b.second;
  }
}

std::uint32_t word(const Digest& digest, std::size_t i) {
  // Little-endian by definition, so that the bits do not depend on the machine.
  const auto* p = digest.bytes.data() + 4 * i;
  return std::uint32_t{p[0]} | std::uint32_t{p[1]} << 8 | std::uint32_t{p[2]} << 16 |
         std::uint32_t{p[3]} << 24;
}

}  // namespace

std::array<std::uint32_t, 4> philox(std::array<std::uint32_t, 4> c,
                                    std::array<std::uint32_t, 2> key) {
  for (int round = 0; round < 10; ++round) {
    const auto [high0, low0] = multiply(0xD2511F53U, c[0]);
    const auto [high1, low1] = multiply(0xCD9E8D57U, c[2]);
    c = {high1 ^ c[1] ^ key[0], low1, high0 ^ c[3] ^ key[1], low0};
    key[0] += 0x9E3779B9U;
    key[1] += 0xBB67AE85U;
  }
  return c;
}

Random::Random(std::uint64_t seed, std::string_view purpose, std::uint64_t step) {
  std::string address = "perturb-random-1";
  address += framed(std::to_string(seed));
  address += framed(purpose);
  address += framed(std::to_string(step));
  const auto digest = sha256(address);
  key_ = {word(digest, 0), word(digest, 1)};
  // The digest also sets the upper half of the counter: two addresses share a sequence only
  // if 128 bits collide.
  address_ = {word(digest, 2), word(digest, 3)};
}

std::uint32_t Random::bits() {
  if (used_ == 4) {
    buffer_ = philox({static_cast<std::uint32_t>(block_), static_cast<std::uint32_t>(block_ >> 32),
                      address_[0], address_[1]},
                     key_);
    ++block_;
    used_ = 0;
  }
  return buffer_[static_cast<std::size_t>(used_++)];
}

float Random::uniform() { return uniform_of(bits()); }

float Random::normal() {
  if (has_spare_) {
    has_spare_ = false;
    return spare_;
  }
  const auto a = bits();
  const auto two = two_normal(a, bits());
  spare_ = two.second;
  has_spare_ = true;
  return two.first;
}

std::uint64_t Random::below(std::uint64_t bound) {
  // Lemire, Fast random integer generation in an interval (2019), on 64 bits.
  const auto draw = [this] { return std::uint64_t{bits()} << 32 | bits(); };
  __extension__ using Wide = unsigned __int128;
  auto product = static_cast<Wide>(draw()) * bound;
  if (static_cast<std::uint64_t>(product) < bound) {
    const std::uint64_t threshold = (0 - bound) % bound;
    while (static_cast<std::uint64_t>(product) < threshold) {
      product = static_cast<Wide>(draw()) * bound;
    }
  }
  return static_cast<std::uint64_t>(product >> 64);
}

void Random::fill_uniform(std::span<float> out) {
  std::size_t i = 0;
  while (i < out.size() && used_ < 4) out[i++] = uniform();
  for (Blocks blocks; out.size() - i >= 4 * kLanes; i += 4 * kLanes) {
    many_blocks(block_, address_, key_, blocks);
    block_ += kLanes;
    uniform_blocks(blocks, out.data() + i);
  }
  while (i < out.size()) out[i++] = uniform();
}

void Random::fill_normal(std::span<float> out) {
  std::size_t i = 0;
  while (i < out.size() && (has_spare_ || used_ < 4)) out[i++] = normal();
  for (Blocks blocks; out.size() - i >= 4 * kLanes; i += 4 * kLanes) {
    many_blocks(block_, address_, key_, blocks);
    block_ += kLanes;
    normal_blocks(blocks, out.data() + i);
  }
  while (i < out.size()) out[i++] = normal();
}

std::vector<std::int64_t> Random::permutation(std::size_t n) {
  std::vector<std::int64_t> order(n);
  std::iota(order.begin(), order.end(), std::int64_t{0});
  for (std::size_t i = n; i > 1; --i) std::swap(order[i - 1], order[below(i)]);
  return order;
}

}  // namespace perturb
