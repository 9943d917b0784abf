#include "perturb/core/digest.h"

#include <doctest/doctest.h>

using namespace perturb;

TEST_CASE("SHA-256 gives the values of FIPS 180-4") {
  CHECK(sha256("").hex() == "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
  CHECK(sha256("abc").hex() == "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
  CHECK(sha256(std::string(1'000'000, 'a')).hex() ==
        "cdc76e5c9914fb9281a1c7e284d73e67f1809a48a497200e046d39ccc7112cd0");
}

TEST_CASE("a hasher gives the digest of the whole, however it was fed, and starts anew") {
  Hasher hasher;
  for (int round = 0; round < 2; ++round) {
    hasher.add("a");
    hasher.add("");
    hasher.add("bc");
    CHECK(hasher.finish() == sha256("abc"));
  }
}

TEST_CASE("hexadecimal reads back, and only 64 digits do") {
  const auto digest = sha256("x");
  CHECK(Digest::from_hex(digest.hex()) == digest);
  CHECK_FALSE(Digest::from_hex(""));
  CHECK_FALSE(Digest::from_hex(digest.hex() + "0"));
  CHECK_FALSE(Digest::from_hex("g" + digest.hex().substr(1)));
}

TEST_CASE("framed pieces cannot run into each other") {
  CHECK(framed("a") + framed("bc") != framed("ab") + framed("c"));
  CHECK(framed("1:") + framed("") != framed("") + framed("1:"));
}
