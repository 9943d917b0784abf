#include "cli/meters.h"

#include <limits>
#include <vector>

#include <doctest/doctest.h>

#include "perturb/report/table.h"

using namespace perturb;

TEST_CASE("a bar has its width, whatever the share") {
  constexpr double kInfinity = std::numeric_limits<double>::infinity();
  for (const double share : {-kInfinity, -1.0, 0.0, 0.3, 0.999, 1.0, 2.0, kInfinity,
                             std::numeric_limits<double>::quiet_NaN()})
    CHECK(display_width(bar(share, 10)) == 10);
  CHECK(bar(0, 4) == "░░░░");
  CHECK(bar(0.5, 4) == "██░░");
  CHECK(bar(0.999, 4) == "███░");  // full is only what is done
  CHECK(bar(1, 4) == "████");
}

TEST_CASE("a sparkline goes from the lowest to the highest") {
  CHECK(sparkline(std::vector<double>{}, 8) == "");
  CHECK(sparkline(std::vector<double>{3}, 8) == "▁");
  CHECK(sparkline(std::vector<double>{2, 2, 2}, 8) == "▁▁▁");
  CHECK(sparkline(std::vector<double>{0, 1, 2, 3, 4, 5, 6, 7}, 8) == "▁▂▃▄▅▆▇█");
  CHECK(sparkline(std::vector<double>{7, 0}, 8) == "█▁");
}

TEST_CASE("a sparkline of more values than columns shows means of neighbours") {
  std::vector<double> values;
  for (int i = 0; i < 1000; ++i) values.push_back(i);
  CHECK(sparkline(values, 8) == "▁▂▃▄▅▆▇█");
  CHECK(sparkline(values, 0) == "");
}

TEST_CASE("what is not finite is said, and does not spoil the rest") {
  constexpr double kInfinity = std::numeric_limits<double>::infinity();
  constexpr double kMost = std::numeric_limits<double>::max();
  CHECK(sparkline(std::vector<double>{1, std::numeric_limits<double>::quiet_NaN(), 2}, 8) == "▁×█");
  CHECK(sparkline(std::vector<double>{kInfinity, -kInfinity}, 8) == "××");
  CHECK(sparkline(std::vector<double>{-kMost, 0, kMost}, 8) == "▁▅█");
}
