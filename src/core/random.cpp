#include "perturb/core/random.h"

#include <cmath>
#include <cstring>
#include <numbers>
#include <numeric>
#include <string>
#include <utility>

#include "perturb/core/digest.h"

namespace perturb {
namespace {

std::pair<std::uint32_t, std::uint32_t> multiply(std::uint32_t a, std::uint32_t b) {
  const auto product = std::uint64_t{a} * b;
  return {static_cast<std::uint32_t>(product >> 32), static_cast<std::uint32_t>(product)};
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

float Random::uniform() { return static_cast<float>(bits() >> 8) * 0x1p-24F; }

float Random::normal() {
  if (has_spare_) {
    has_spare_ = false;
    return spare_;
  }
  // (0, 1] for the radius: the logarithm of 0 never comes up.
  const float u = static_cast<float>((bits() >> 8) + 1) * 0x1p-24F;
  const float angle = 2 * std::numbers::pi_v<float> * uniform();
  const float radius = std::sqrt(-2 * std::log(u));
  spare_ = radius * std::sin(angle);
  has_spare_ = true;
  return radius * std::cos(angle);
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
  for (auto& x : out) x = uniform();
}

void Random::fill_normal(std::span<float> out) {
  for (auto& x : out) x = normal();
}

std::vector<std::int64_t> Random::permutation(std::size_t n) {
  std::vector<std::int64_t> order(n);
  std::iota(order.begin(), order.end(), std::int64_t{0});
  for (std::size_t i = n; i > 1; --i) std::swap(order[i - 1], order[below(i)]);
  return order;
}

}  // namespace perturb
