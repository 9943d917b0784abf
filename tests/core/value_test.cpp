#include "perturb/core/value.h"

#include <cmath>
#include <cstring>
#include <limits>

#include <doctest/doctest.h>

#include "perturb/core/random.h"

using namespace perturb;

TEST_CASE("canonical texts tell types and values apart") {
  CHECK(canonical(Value(1)) != canonical(Value(1.0)));
  CHECK(canonical(Value(1)) != canonical(Value("1")));
  CHECK(canonical(Value(true)) != canonical(Value(1)));
  CHECK(canonical(Value(-0.0)) == canonical(Value(0.0)));
  CHECK(canonical(Value(0.1)) != canonical(Value(0.1 + 1e-17 * 2)));
  // A list's items are framed: [[1], [2]] is not [[1, 2]], and "a, b" is not two strings.
  CHECK(canonical(Value(List{List{1}, List{2}})) != canonical(Value(List{List{1, 2}})));
  CHECK(canonical(Value(List{"a", "b"})) != canonical(Value(List{"a, sb"})));
}

TEST_CASE("different doubles have different canonical texts") {
  Random random(0, "doubles");
  for (int i = 0; i < 2000; ++i) {
    const std::uint64_t bits = std::uint64_t{random.bits()} << 32 | random.bits();
    double x;
    std::memcpy(&x, &bits, sizeof x);
    if (x != x) continue;
    const double next = std::nextafter(x, std::numeric_limits<double>::infinity());
    if (next != x) CHECK(canonical(Value(x)) != canonical(Value(next)));
  }
}

TEST_CASE("values are shown as people write them") {
  CHECK(display(Value(0.05)) == "0.05");
  CHECK(display(Value("sgd")) == "sgd");
  CHECK(display(Value(List{64, 10})) == "[64, 10]");
  CHECK(to_json(Value(1.0)) == "1.0");
  CHECK(to_json(Value("a\"\n\xff")) == "\"a\\\"\\n\xEF\xBF\xBD\"");
}
