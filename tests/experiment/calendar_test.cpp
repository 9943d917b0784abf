#include "perturb/experiment/calendar.h"

#include <algorithm>

#include <doctest/doctest.h>

#include "perturb/core/random.h"

using namespace perturb;

namespace {

Condition with_batch(std::int64_t size) {
  Condition c;
  c.set("data.batch_size", size);
  return c;
}

Operation batch_window(Step begin, Step end, std::int64_t size) {
  Operation op;
  op.kind = "set";
  op.parameters["data.batch_size"] = size;
  op.windows = {{begin, end}};
  return op;
}

}  // namespace

TEST_CASE("batches tile every epoch, also where the batch size changes in its midst") {
  Random random(0, "calendars");
  for (int round = 0; round < 60; ++round) {
    const auto n = static_cast<std::int64_t>(random.below(50)) + 1;
    std::vector<Operation> operations;
    Step at = 0;
    for (std::uint64_t i = 0; i < random.below(4); ++i) {
      at += static_cast<Step>(random.below(9));
      const Step end = at + static_cast<Step>(random.below(9)) + 1;
      operations.push_back(batch_window(at, end, static_cast<std::int64_t>(random.below(60)) + 1));
      at = end;
    }
    const auto line =
        timeline(with_batch(static_cast<std::int64_t>(random.below(20)) + 1), operations);
    const Calendar calendar(line, n);

    // Told by walking, one step after the other.
    std::int64_t epoch = 0, offset = 0;
    for (Step step = 0; step < 200; ++step) {
      const auto stretch = std::find_if(
          line.stretches.begin(), line.stretches.end(),
          [&](const Stretch& s) { return s.window.begin <= step && step < s.window.end; });
      const auto size = std::min(stretch->condition.integer("data.batch_size"), n - offset);
      const auto batch = calendar.batch(step);
      REQUIRE(batch.epoch == epoch);
      REQUIRE(batch.offset == offset);
      REQUIRE(batch.size == size);
      REQUIRE(calendar.epochs_before(step) ==
              static_cast<double>(epoch) + static_cast<double>(offset) / static_cast<double>(n));
      offset += size;
      if (offset == n) {
        ++epoch;
        offset = 0;
        REQUIRE(calendar.end_of(epoch) == step + 1);
      }
    }
  }
}

TEST_CASE("an epoch of 60,000 in batches of 64 is 938 steps") {
  const Calendar calendar(timeline(with_batch(64), {}), 60'000);
  CHECK(calendar.end_of(0) == 0);
  CHECK(calendar.end_of(1) == 938);
  CHECK(calendar.end_of(10) == 9380);
  CHECK(calendar.batch(937).size == 32);
  // Beyond what a step counter can hold the run has no end, rather than a wrong one.
  CHECK(calendar.end_of(kForever) == kForever);
}
