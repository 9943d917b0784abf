#include "perturb/report/caution.h"

#include <algorithm>
#include <limits>

#include <doctest/doctest.h>

#include "report/flows.h"

namespace {

using namespace perturb;

constexpr double kNaN = std::numeric_limits<double>::quiet_NaN();

struct Ratios : Flows {
  Ratios()
      : Flows(R"(
[[metrics]]
kind = "rms-ratio"
of = ["generated", "average"]
every = "epoch"
)") {}

  std::vector<Caution> found() const { return cautions(results()); }
};

}  // namespace

TEST_CASE_FIXTURE(Ratios, "generated networks that have shrunk are said, the furthest first") {
  keep(0, 0.79);
  keep(1, 0.8);  // the bound itself is well
  keep(2, 0.6149);
  keep(3, 1.3);
  const auto all = found();
  REQUIRE(all.size() == 1);  // and nothing of the average, which is small by nature
  CHECK(all[0].metric == "generated.rms_ratio");
  CHECK(all[0].least == 0.8);
  CHECK(all[0].measured == 4);
  REQUIRE(all[0].values.size() == 2);
  CHECK(all[0].values[0].number == 2);
  CHECK(all[0].values[0].value == 0.6149);
  CHECK(all[0].values[1].number == 0);
  CHECK(all[0].text() ==
        "generated networks have shrunk toward their mean: generated.rms_ratio down to 0.61, under "
        "0.8, in 2 of 4 trials");
}

TEST_CASE_FIXTURE(Ratios, "one trial alone needs no count") {
  keep(4, 0.61);
  REQUIRE(found().size() == 1);
  CHECK(found()[0].text() ==
        "generated networks have shrunk toward their mean: generated.rms_ratio 0.61, under 0.8");
}

TEST_CASE_FIXTURE(Ratios, "nothing is said where nothing is wrong or known") {
  CHECK(found().empty());
  keep(0, 0.9);
  keep(1, kNaN);
  CHECK(found().empty());
}

TEST_CASE_FIXTURE(Ratios, "a trial is what it came to, not what it was on its way") {
  const auto over_the_run = [](double first, double last) {
    return [=](const std::string&, double epoch) { return epoch < 2 ? first : last; };
  };
  keep(0, over_the_run(0.2, 0.9));
  CHECK(found().empty());
  keep(1, over_the_run(0.9, 0.2));
  REQUIRE(found().size() == 1);
  CHECK(found()[0].values.size() == 1);
  CHECK(found()[0].values[0].number == 1);
}

TEST_CASE("the bound is in the help of the metric") {
  const Component* ratio = flow_schema().find(Family::Metric, "rms-ratio");
  REQUIRE(ratio);
  CHECK(ratio->help.find("under 0.8") != std::string::npos);
  const Parameter* of = ratio->find("of");
  REQUIRE(of);
  CHECK(std::ranges::count(of->choices, "generated") == 1);
}
