#include "report/noise_reading.h"

#include <cmath>
#include <limits>
#include <vector>

#include <doctest/doctest.h>

#include "perturb/catalog/catalog.h"
#include "perturb/core/error.h"
#include "perturb/experiment/noise_curve.h"
#include "perturb/report/results.h"

namespace {

using namespace perturb;
using Lack = Reading::Lack;

constexpr double kNaN = std::numeric_limits<double>::quiet_NaN();

using Numbers = std::vector<double>;

constexpr const char* kFile = R"(
[task]
kind = "classification"
[model]
kind = "mlp"
hidden = [4]
[data]
kind = "iris"
batch_size = 64
[optimizer]
kind = "sgd"
[train]
epochs = 3
[[variations]]
seeds.init = [0, 1, 2]
[[interventions]]
kind = "weight-noise"
epsilon = 0.5
)";
constexpr const char* kNoise = R"(
[[metrics]]
kind = "noisy-accuracy"
strength = [0.5, 0, 0.1]
every = [0, 30]
)";

struct Fixture {
  Schema schema = builtin_schema();
  Experiment read;
  Store store = Store::in_memory();
  RunId run = store.begin_run({"test", "test", "0", "{}"});

  explicit Fixture(const std::string& rest = kNoise)
      : read(Experiment::parse({"test.toml", kFile + rest}, ".", {}, schema, [](const Condition&) {
          return DataFacts{.train = 640, .test = 64};
        })) {}

  /// Keeps a trial in which accuracy under noise is `score(strength)`, but for what is NaN.
  template <class Score>
  void keep(std::size_t number, const Score& score) {
    const Assignment assignment = read.assignment(number);
    Record record{.trial = assignment.trial.id, .outcome = Outcome::Done, .step = 30};
    for (const Measurement& measurement : assignment.measurements) {
      for (const std::size_t metric : measurement.metrics) {
        const MetricSpec& spec = assignment.metrics[metric];
        const auto strength = spec.parameters.find("strength");
        const double value = strength == spec.parameters.end()
                                 ? 0.5
                                 : score(strength->second.as_float(), measurement.step);
        record.measured.push_back(
            {measurement.step, measurement.epoch, measurement.state, spec.definition(), value});
      }
    }
    store.keep(run, record);
    store.flush();
  }
  Results results() const {
    std::vector<Digest> trials;
    std::vector<Step> ends;
    for (std::size_t number = 0; number < read.trials(); ++number) {
      trials.push_back(read.trial(number).id);
      ends.push_back(read.end(read.trial(number)));
    }
    return {read, store, std::move(trials), std::move(ends)};
  }
  Summary summary(const std::string& quantity, const std::string& place = "last") const {
    return results().summary({.metrics = {quantity}, .at = at_from(place)});
  }
  std::string error(const std::string& word, const std::string& place = "last") const {
    try {
      quantities(read, {word}, at_from(place));
    } catch (const Error& error) {
      CHECK(error.code() == ExitCode::Usage);
      return std::string(error.what()) + " | " + error.advice();
    }
    return "";
  }
};

}  // namespace

TEST_CASE("the area is the mean score, whatever the strengths are and in whichever unit") {
  CHECK(noise_area(Numbers{0, 0.1, 0.5}, Numbers{0.7, 0.7, 0.7}) == doctest::Approx(0.7));
  // Linear in the strength: the value in the middle, however the strengths are spaced.
  CHECK(noise_area(Numbers{0, 0.1, 0.5}, Numbers{1, 0.9, 0.5}) == doctest::Approx(0.75));
  CHECK(noise_area(Numbers{1, 2}, Numbers{0.2, 0.4}) == doctest::Approx(0.3));
  const Numbers scores = {0.9, 0.8, 0.3};
  CHECK(noise_area(Numbers{0, 1, 5}, scores) ==
        doctest::Approx(noise_area(Numbers{0, 0.1, 0.5}, scores)));
  CHECK(std::isnan(noise_area(Numbers{0, 1, 5}, Numbers{0.9, kNaN, 0.3})));
}

TEST_CASE("half of the gain is lost where the line between strengths says so") {
  const Numbers strengths = {0, 0.1, 0.5};
  // 0.9 is 0.8 over chance; at 0.5 half of it is left: a quarter of the way from 0.6 to 0.2.
  CHECK(*noise_half(strengths, Numbers{0.9, 0.6, 0.2}, 0.1, Better::Higher) ==
        doctest::Approx(0.2));
  // At a strength itself, and the first time of several.
  CHECK(*noise_half(strengths, Numbers{0.9, 0.5, 0.9}, 0.1, Better::Higher) ==
        doctest::Approx(0.1));
  // A loss rises; mirrored, it is the same curve.
  CHECK(*noise_half(strengths, Numbers{-0.9, -0.6, -0.2}, -0.1, Better::Lower) ==
        doctest::Approx(0.2));
  CHECK(*noise_half(strengths, Numbers{0.9, 0.6, 0.2}, 0.1, Better::Neither) ==
        doctest::Approx(0.2));
  // An infinite loss is beyond everything: half is lost right after the strength before.
  CHECK(*noise_half(strengths, Numbers{0.1, 0.2, INFINITY}, 2.3, Better::Lower) == 0.1);
}

TEST_CASE("half of the gain may never be lost, and there may be none") {
  const Numbers strengths = {0, 0.1, 0.5};
  CHECK_FALSE(noise_half(strengths, Numbers{0.9, 0.8, 0.51}, 0.1, Better::Higher).has_value());
  CHECK_FALSE(noise_half(strengths, Numbers{0.9, 0.95, 0.9}, 0.1, Better::Higher).has_value());
  for (const double start : {0.1, 0.05, kNaN})
    CHECK(std::isnan(*noise_half(strengths, Numbers{start, 0.1, 0.1}, 0.1, Better::Higher)));
  CHECK(std::isnan(*noise_half(strengths, Numbers{2.4, 2.5, 2.6}, 2.3, Better::Lower)));
  CHECK(std::isnan(*noise_half(strengths, Numbers{0.9, kNaN, 0.1}, 0.1, Better::Higher)));
  // What comes after half was lost changes nothing.
  CHECK(*noise_half(strengths, Numbers{0.9, 0.1, kNaN}, 0.1, Better::Higher) ==
        doctest::Approx(0.05));
}

TEST_CASE_FIXTURE(Fixture, "curves are metrics that differ by strength alone, by strength") {
  const auto curves = noise_curves(read.metrics());
  REQUIRE(curves.size() == 1);
  CHECK(curves[0].name == "test.accuracy");
  CHECK(curves[0].strengths == Numbers{0, 0.1, 0.5});
  for (std::size_t i = 0; i < 3; ++i) {
    const MetricSpec& metric = read.metrics()[curves[0].metrics[i]];
    CHECK(metric.parameters.at("strength").as_float() == curves[0].strengths[i]);
  }
  const Fixture more(std::string(kNoise) + R"(
[[metrics]]
kind = "noisy-accuracy"
strength = [0, 0.1]
draws = 2
[[metrics]]
kind = "noisy-loss"
strength = [0.1]
[[metrics]]
kind = "noisy-loss"
strength = [0, 0.2]
every = "never"
)");
  std::vector<std::string> names;
  for (const NoiseCurve& curve : noise_curves(more.read.metrics())) names.push_back(curve.name);
  CHECK(names == std::vector<std::string>{"test.accuracy", "test.accuracy[draws=2]", "test.loss"});
}

TEST_CASE_FIXTURE(Fixture, "a curve's figure is of one state, beside the control's there") {
  for (std::size_t number = 0; number < read.trials(); ++number) {
    const double bonus = number % 2 == 1 ? 0.2 : 0;
    keep(number, [&](double strength, Step step) {
      return step == 0 ? 0.1 : 0.5 + bonus + 0.01 * static_cast<double>(number / 2) - strength / 5;
    });
  }
  const Summary area = summary("noise_auc(test.accuracy)");
  REQUIRE(area.rows.size() == 2);
  const SummaryCell& noisy = area.rows[1].cells.front();
  CHECK(area.rows[0].cells.front().value.mean == doctest::Approx(0.46));
  CHECK(noisy.value.mean == doctest::Approx(0.66));
  CHECK(noisy.against.difference.n == 3);
  CHECK(noisy.against.difference.mean == doctest::Approx(0.2));
  CHECK(noisy.against.wins == 3);
  CHECK(summary("noise_auc(test.accuracy)", "0").rows[1].cells.front().value.mean ==
        doctest::Approx(0.1));
  CHECK(where(area.quantities.front(), area.place) == "at the end of the run");

  // The noise costs 0.1 at most: half of the controls' gains over 0.41, not of those of the noisy.
  const Summary half = summary("noise_half(test.accuracy,0.41)");
  CHECK(half.rows[0].cells.front().value.n == 3);
  CHECK(half.rows[0].cells.front().value.mean == doctest::Approx(0.25));
  CHECK(half.rows[1].cells.front().never == 3);
  CHECK(half.rows[1].cells.front().against.difference.n == 0);
  const Summary never = summary("noise_half(test.accuracy,0.305)");
  CHECK(never.rows[0].cells.front().value.n == 1);  // of 0.195, and not of 0.205 and 0.215
  CHECK(never.rows[0].cells.front().never == 2);
  CHECK(render(never, {}).find("half of the gain was not lost") != std::string::npos);
}

TEST_CASE_FIXTURE(Fixture, "a curve of which a strength is missing is not measured") {
  keep(0, [](double, Step) { return 0.5; });
  const Fixture more(R"(
[[metrics]]
kind = "noisy-accuracy"
strength = [0.5, 0, 0.1, 0.2]
every = [0, 30]
)");
  const auto wanted = quantities(more.read, {"noise_auc(test.accuracy)"}, {});
  const auto seen = observe(more.read, store, {read.trial(0).id}, {30}, wanted, {});
  CHECK(seen[0].standing == Standing::Done);
  CHECK(seen[0].readings[0].lack == Lack::Unmeasured);
  // Nor one whose strengths were last measured at different steps.
  const Fixture apart(R"(
[[metrics]]
kind = "noisy-accuracy"
strength = 0
every = [0]
[[metrics]]
kind = "noisy-accuracy"
strength = 0.1
every = [0, 30]
)");
  const auto uneven = quantities(apart.read, {"noise_auc(test.accuracy)"}, {});
  CHECK(observe(apart.read, store, {read.trial(0).id}, {30}, uneven, {})[0].readings[0].lack ==
        Lack::Unmeasured);
}

TEST_CASE_FIXTURE(Fixture, "what is no curve is said, with what was meant") {
  CHECK(error("noise_auc( test.accuracy )").empty());
  CHECK(error("noise_half(test.accuracy, 0.1)").empty());
  CHECK(error("noise_auc(test.acuracy)") ==
        "the experiment does not measure \"test.acuracy\" under noise | did you mean "
        "\"test.accuracy\"?");
  CHECK(error("noise_auc(weights)") ==
        "the experiment does not measure \"weights\" under noise | under noise it measures "
        "test.accuracy");
  CHECK(error("noise_half(test.accuracy)").starts_with("cannot read the metric"));
  CHECK(error("noise_half(test.accuracy,nan)").starts_with("cannot read the metric"));
  CHECK(error("noise_ac(test.accuracy)") ==
        "there is no \"noise_ac\" of a metric | did you mean \"noise_auc\"?");
  CHECK(error("noise_auc(test.accuracy)", "best") ==
        "noise_auc(test.accuracy) is of one state, and has no best one | --at last, --at STEP or "
        "--at epoch:N say where to look");
  const Fixture without("[[metrics]]\nkind = \"noisy-accuracy\"\nstrength = [0.1, 0.2]\n");
  CHECK(without.error("noise_auc(test.accuracy)").empty());
  CHECK(without.error("noise_half(test.accuracy,0.1)").find("not measured without noise") !=
        std::string::npos);
  const Fixture one("[[metrics]]\nkind = \"noisy-accuracy\"\nstrength = 0.1\n");
  CHECK(one.error("noise_auc(test.accuracy)").find("one strength of noise alone") !=
        std::string::npos);
  const Fixture none("");
  CHECK(none.error("noise_auc(test.accuracy)").find("kind = \"noisy-accuracy\"") !=
        std::string::npos);
}
