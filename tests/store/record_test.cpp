#include "perturb/store/record.h"

#include <doctest/doctest.h>

#include "perturb/core/error.h"

using namespace perturb;

TEST_CASE("every outcome is found by its name") {
  for (const Outcome outcome : {Outcome::Done, Outcome::Diverged, Outcome::Failed, Outcome::Crashed,
                                Outcome::OutOfMemory, Outcome::TimedOut, Outcome::Interrupted})
    CHECK(outcome_from(name_of(outcome)) == outcome);
  CHECK_THROWS_AS(outcome_from("doen"), Error);
}
