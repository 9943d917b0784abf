#include "perturb/store/record.h"

#include <cmath>
#include <limits>

#include <doctest/doctest.h>

#include "perturb/core/error.h"

using namespace perturb;

TEST_CASE("every outcome is found by its name") {
  for (const Outcome outcome : {Outcome::Done, Outcome::Diverged, Outcome::Failed, Outcome::Crashed,
                                Outcome::OutOfMemory, Outcome::TimedOut, Outcome::Interrupted})
    CHECK(outcome_from(name_of(outcome)) == outcome);
  CHECK_THROWS_AS(outcome_from("doen"), Error);
}

TEST_CASE("a record is the same after a trip through JSON, NaN and infinities included") {
  Record before;
  before.trial = sha256("trial");
  before.outcome = Outcome::TimedOut;
  before.step = 17;
  before.message = "took longer than 3 s \"quoted\"\n";
  before.seconds = 0.1;
  before.trained = 9;
  before.start_lost = true;
  const double nan = std::numeric_limits<double>::quiet_NaN();
  const double infinity = std::numeric_limits<double>::infinity();
  for (const double value : {0.1, -0.0, nan, infinity, -infinity, 5e-324})
    before.measured.push_back({4, 0.25, sha256("state"), sha256("metric"), value});
  before.saved.push_back({4, 0.25, sha256("state"), sha256("blob"), 1234});

  const Record after = record_from_json(to_json(before));
  CHECK(to_json(after) == to_json(before));
  CHECK(after.trial == before.trial);
  CHECK(after.outcome == Outcome::TimedOut);
  CHECK(after.message == before.message);
  REQUIRE(after.measured.size() == 6);
  CHECK(std::signbit(after.measured[1].value));
  CHECK(std::isnan(after.measured[2].value));
  CHECK(after.measured[5].value == 5e-324);
  CHECK(after.saved[0].blob == sha256("blob"));
  CHECK(after.start_lost);
}

TEST_CASE("whatever else comes is refused, not believed") {
  const std::string good = to_json(Record{});
  for (std::size_t length = 0; length < good.size(); ++length)
    CHECK_THROWS_AS(record_from_json(good.substr(0, length)), Error);
  for (const char* bad : {"null", "[]", "{}", "{\"trial\": \"00\"}"})
    CHECK_THROWS_AS(record_from_json(bad), Error);
}
