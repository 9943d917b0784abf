// SHA-256, the identity of trials, states, data and blobs. Not a checksum for speed and
// not salted: equal input gives equal digests on every machine, for ever.
#pragma once

#include <array>
#include <compare>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

namespace perturb {

struct Digest {
  std::array<std::uint8_t, 32> bytes{};

  auto operator<=>(const Digest&) const = default;
  std::string hex() const;
  /// The first 12 hexadecimal digits: what people read and type.
  std::string brief() const { return hex().substr(0, 12); }
  static std::optional<Digest> from_hex(std::string_view hex);
};

/// Two lower-case digits a byte.
std::string hexadecimal(std::string_view bytes);

Digest sha256(std::string_view bytes);

/// SHA-256 of a stream that is fed piece by piece.
class Hasher {
 public:
  Hasher();
  Hasher(Hasher&&) noexcept;
  Hasher& operator=(Hasher&&) noexcept;
  ~Hasher();

  void add(std::string_view bytes);
  /// Ends the stream; the hasher then starts anew.
  Digest finish();

 private:
  struct State;
  std::unique_ptr<State> state_;
};

/// `text` preceded by its length, so that joined pieces cannot run into each other:
/// framed("a") + framed("bc") differs from framed("ab") + framed("c").
std::string framed(std::string_view text);

}  // namespace perturb

/// A digest is already uniformly distributed: its first bytes are its hash.
template <>
struct std::hash<perturb::Digest> {
  std::size_t operator()(const perturb::Digest& digest) const noexcept;
};
