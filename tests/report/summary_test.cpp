#include "perturb/report/summary.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <string>

#include <doctest/doctest.h>

#include "perturb/catalog/catalog.h"
#include "perturb/core/error.h"

namespace {

using namespace perturb;

const Schema& schema() {
  static const Schema all = builtin_schema();
  return all;
}

Experiment experiment(const std::string& rest) {
  const std::string base = R"(
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
epochs = 2
)";
  return Experiment::parse({"test.toml", base + rest}, ".", {}, schema(),
                           [](const Condition&) { return DataFacts{.train = 640, .test = 64}; });
}

/// Every trial done, with values made by `value(variation, alternative)` for all metrics.
template <class MakeValue>
std::vector<Observation> observations(const Experiment& experiment, const MakeValue& value) {
  std::vector<Observation> all;
  for (std::size_t number = 0; number < experiment.trials(); ++number) {
    const Trial trial = experiment.trial(number);
    const double made = value(trial.variation, trial.alternative);
    Reading reading{.value = made, .lack = Reading::Lack::None};
    if (trial.alternative > 0) reading.control = value(trial.variation, std::size_t{0});
    all.push_back({trial.id, Standing::Done, {reading, reading}});
  }
  return all;
}

constexpr double kNaN = std::numeric_limits<double>::quiet_NaN();

}  // namespace

TEST_CASE("seeds are replicates, other factors have rows of their own") {
  const Experiment grid = experiment(R"(
[[variations]]
seeds.init = [0, 1, 2]
optimizer.momentum = [0.0, 0.5]
[[interventions]]
set.optimizer.lr = [0.2, 0.3]
)");
  const Summary summary = summarise(grid, observations(grid, [](auto, auto) { return 1.0; }), {});
  CHECK(summary.by == std::vector<std::string>{"optimizer.momentum"});
  CHECK(summary.replicates == std::vector<std::string>{"seeds.init"});
  REQUIRE(summary.rows.size() == 6);
  for (const SummaryRow& row : summary.rows) {
    CHECK(row.trials == 3);
    CHECK(row.cells[0].value.n == 3);
    CHECK(row.cells[0].against.difference.n == (row.control ? 0 : 3));
  }
  CHECK(summary.rows[0].control);
  CHECK(summary.rows[3].control);
}

TEST_CASE("noise seeds of an intervention are replicates of it") {
  const Experiment noise = experiment(R"(
[[interventions]]
kind = "perturb-weights"
epsilon = [0.1, 0.2]
seed = { range = [0, 4] }
when = "init"
)");
  const auto all = observations(noise, [](auto, std::size_t a) { return static_cast<double>(a); });
  const Summary summary = summarise(noise, all, {});
  REQUIRE(summary.rows.size() == 3);
  CHECK(summary.rows[0].trials == 1);
  CHECK(summary.rows[1].trials == 4);
  // Alternatives 1..4 and 5..8; the control is 0.
  CHECK(summary.rows[1].cells[0].against.difference.mean == doctest::Approx(2.5));
  CHECK(summary.rows[2].cells[0].against.difference.mean == doctest::Approx(6.5));
  CHECK(summary.rows[2].cells[0].against.difference.n == 4);
  CHECK(summary.replicates == std::vector<std::string>{"perturb-weights.seed"});

  const Summary split = summarise(noise, all, {.metrics = {}, .by = {{"perturb-weights.seed"}}});
  CHECK(split.rows.size() == 9);
}

TEST_CASE("differences are paired: what all trials of a variation share drops out") {
  const Experiment grid = experiment(R"(
[[variations]]
seeds.init = { range = [0, 5] }
[[interventions]]
set.optimizer.lr = 0.2
)");
  // Variations differ by whole units, the intervention always by a quarter.
  const Summary summary =
      summarise(grid,
                observations(grid,
                             [](std::size_t v, std::size_t a) {
                               return static_cast<double>(v) + 0.25 * static_cast<double>(a);
                             }),
                {});
  const SummaryCell& cell = summary.rows[1].cells[0];
  CHECK(cell.value.sd.value() > 1);
  CHECK(cell.against.difference.mean == doctest::Approx(0.25));
  CHECK(cell.against.difference.sd.value() == doctest::Approx(0.0));
  CHECK(cell.against.difference.n == 5);
}

TEST_CASE("trials that share a control count as one pair where there are several controls") {
  const Experiment noise = experiment(R"(
[[variations]]
seeds.init = [0, 1]
[[interventions]]
kind = "perturb-weights"
epsilon = 0.1
seed = { range = [0, 10] }
when = "init"
)");
  const Summary summary = summarise(noise,
                                    observations(noise,
                                                 [](std::size_t v, std::size_t a) {
                                                   return a == 0 ? 0.0 : v == 0 ? 1.0 : 3.0;
                                                 }),
                                    {});
  const SummaryCell& cell = summary.rows[1].cells[0];
  CHECK(cell.value.n == 20);
  CHECK(cell.against.difference.n == 2);
  CHECK(cell.against.difference.mean == doctest::Approx(2.0));
  CHECK(cell.against.difference.sd.value() == doctest::Approx(std::sqrt(2.0)));
}

TEST_CASE(
    "what failed, diverged, is missing or not finite is counted and left out of the figures") {
  const Experiment grid = experiment(R"(
[[variations]]
seeds.init = { range = [0, 6] }
[[interventions]]
set.optimizer.lr = 0.2
)");
  auto all = observations(grid, [](std::size_t v, std::size_t) { return static_cast<double>(v); });
  all[1].standing = Standing::Diverged;
  all[3].standing = Standing::Failed;
  all[5].standing = Standing::Missing;
  all[7].readings[0].value = kNaN;
  all[8].standing = Standing::Diverged;  // a control: its intervention has no partner
  for (Reading& reading : all[9].readings) reading.control = kNaN;
  const Summary summary = summarise(grid, all, {});
  const SummaryRow& row = summary.rows[1];
  CHECK(row.trials == 6);
  CHECK(row.diverged == 1);
  CHECK(row.failed == 1);
  CHECK(row.missing == 1);
  CHECK(row.done == 3);
  CHECK(row.cells[0].value.n == 2);
  CHECK(row.cells[0].not_finite == 1);
  CHECK(row.cells[1].value.n == 3);
  CHECK(row.cells[0].against.difference.n == 1);
  CHECK(row.cells[1].against.difference.n == 2);

  const std::string text = render(summary, {});
  CHECK(text.find("2/6 (1 diverged, 1 failed, 1 not finite, 1 to run)") != std::string::npos);
  CHECK(text.find("n = 1") != std::string::npos);
}

TEST_CASE("one trial that stands in two places of a row is one replicate") {
  // Adam has no momentum, so both levels are the same trial.
  const Experiment grid = experiment(R"(
[[variations]]
optimizer.lr = [0.1, 0.2]
[[interventions]]
set.optimizer.kind = "adam"
set.optimizer.lr = 0.001
)");
  SummaryOptions together;
  together.by = std::vector<std::string>{};
  const Summary summary =
      summarise(grid, observations(grid, [](auto, auto) { return 1.0; }), together);
  REQUIRE(summary.rows.size() == 2);
  CHECK(summary.rows[0].trials == 2);
  CHECK(summary.rows[1].trials == 1);
}

TEST_CASE("what cannot be shown is said, with what was meant") {
  const Experiment grid = experiment("[[variations]]\nseeds.init = [0, 1]\n");
  const auto all = observations(grid, [](auto, auto) { return 1.0; });
  CHECK_THROWS_AS(summarise(grid, all, {.metrics = {}, .by = {{"seeds.inti"}}}), Error);
  try {
    summarise(grid, all, {.metrics = {}, .by = {{"seeds.inti"}}});
  } catch (const Error& error) {
    CHECK(error.advice() == "did you mean \"seeds.init\"?");
  }
}

TEST_CASE("the table, as it is printed") {
  const Experiment grid = experiment(R"(
[[variations]]
seeds.init = { range = [0, 3] }
optimizer.momentum = [0.0, 0.5]
[[interventions]]
set.optimizer.lr = 0.2
)");
  const Summary summary = summarise(grid,
                                    observations(grid,
                                                 [](std::size_t v, std::size_t a) {
                                                   return 0.7 + 0.01 * static_cast<double>(v) -
                                                          0.1 * static_cast<double>(a);
                                                 }),
                                    {.metrics = {"test.accuracy"}, .by = {}});
  // By hand: 0.70, 0.72, 0.74 have mean 0.72 and sd 0.02; t(0.975, 2) = 4.303, so that the
  // interval is 0.72 +- 4.303 x 0.02 / sqrt(3) = 0.72 +- 0.0497. J(2) = 1 / sqrt(pi) = 0.564, and
  // so g = -0.564 x 0.1 / 0.02 = -2.82. All three differ to the same side: p = 2 / 2^3.
  CHECK(render(summary, {}) == R"(test.accuracy at the end of the run
optimizer.momentum  intervention      n      mean ± sd    95% interval
                 0  control           3  0.720 ± 0.020  [0.670, 0.770]
                    optimizer.lr=0.2  3  0.620 ± 0.020  [0.570, 0.670]

               0.5  control           3  0.730 ± 0.020  [0.680, 0.780]
                    optimizer.lr=0.2  3  0.630 ± 0.020  [0.580, 0.680]

test.accuracy minus the control's
optimizer.momentum  intervention      pairs    mean      95% interval      g  better      p   Holm
                 0  optimizer.lr=0.2  3      -0.100  [-0.100, -0.100]  -2.82  0/3     0.250  0.250

               0.5  optimizer.lr=0.2  3      -0.100  [-0.100, -0.100]  -2.82  0/3     0.250  0.250

Replicates: seeds.init.
Differences are paired with the control of the same variation; several to one control are averaged first.
Intervals are Student's t, each by itself: not corrected for many comparisons.
g: Hedges' g; p: exact sign-flip test, two-sided; Holm: p corrected for all interventions of the group.
With n pairs p cannot be under 2/2^n, for 3: 0.250.
)");
}

TEST_CASE("long tables are cut, and say so") {
  const Experiment grid =
      experiment("[[interventions]]\nset.optimizer.lr = { linspace = [0.1, 0.9, 40] }\n");
  const Summary summary = summarise(grid, observations(grid, [](auto, auto) { return 1.0; }), {});
  CHECK(summary.rows.size() == 41);
  CHECK(render(summary, {.most_rows = 10}).find("and 31 more rows\n") != std::string::npos);
  CHECK(render(summary, {}).find("more rows") == std::string::npos);
}

TEST_CASE("a replicate that diverged is counted beside n, and its pair is missed") {
  const Experiment grid = experiment(R"(
[[variations]]
seeds.init = { range = [0, 5] }
[[interventions]]
set.optimizer.lr = 0.2
)");
  auto all = observations(grid, [](std::size_t v, std::size_t a) {
    return static_cast<double>(v) / 100 + static_cast<double>(a) * 0.1;
  });
  all[3].standing = Standing::Diverged;
  const Summary summary = summarise(grid, all, {});
  const SummaryCell& cell = summary.rows[1].cells[0];
  CHECK(cell.value.n == 4);
  CHECK(cell.pairs == 5);
  CHECK(cell.against.difference.n == 4);
  CHECK(cell.against.wins == 4);
  CHECK(cell.against.p.value() == 0.125);  // 2 / 2^4
  const std::string text = render(summary, {});
  CHECK(text.find("4/5 (1 diverged)") != std::string::npos);
  CHECK(text.find("  4/5  ") != std::string::npos);
  CHECK(text.find("With n pairs p cannot be under 2/2^n, for 4: 0.125.") != std::string::npos);
}

TEST_CASE("a threshold that is never reached is counted beside n") {
  const Experiment grid = experiment(R"(
[[variations]]
seeds.init = { range = [0, 5] }
[[interventions]]
set.optimizer.lr = 0.2
)");
  auto all = observations(grid, [](std::size_t v, std::size_t a) {
    return static_cast<double>(100 + 7 * v * v - 10 * a);
  });
  all[2].readings[0] = {.lack = Reading::Lack::Never};
  all[3].readings[0].control = kNaN;
  const SummaryOptions options{.metrics = {"steps_to(test.accuracy,0.8)", "test.loss"}, .by = {}};
  const Summary summary = summarise(grid, all, options);
  CHECK(summary.rows[0].cells[0].never == 1);
  CHECK(summary.rows[0].cells[0].value.n == 4);
  CHECK(summary.rows[1].cells[0].against.difference.n == 4);
  CHECK(summary.rows[1].cells[0].against.wins == 4);  // fewer steps are better
  const std::string text = render(summary, {});
  CHECK(text.find("steps_to(test.accuracy,0.8) over the run\n") != std::string::npos);
  CHECK(text.find("4/5 (1 never)") != std::string::npos);
  CHECK(text.find("never: the threshold was not reached") != std::string::npos);
}

TEST_CASE("Holm's family are the interventions of a group of rows and a metric") {
  const Experiment grid = experiment(R"(
[[variations]]
seeds.init = { range = [0, 8] }
optimizer.momentum = [0.0, 0.5]
[[interventions]]
set.optimizer.lr = [0.2, 0.3, 0.4]
)");
  // The first intervention always wins, the others sometimes.
  const Summary summary =
      summarise(grid,
                observations(grid,
                             [](std::size_t v, std::size_t a) {
                               const double sign = a == 1 || (v / 2 + a) % 3 > 0 ? 1 : -1;
                               return a == 0 ? 0.0 : sign * static_cast<double>(1 + v % 5);
                             }),
                {});
  REQUIRE(summary.rows.size() == 8);
  for (const std::size_t first : {0u, 4u}) {
    std::vector<double> p;
    for (std::size_t i = 1; i < 4; ++i)
      p.push_back(summary.rows[first + i].cells[0].against.p.value());
    CHECK(p[0] == 2.0 / 256);
    const std::vector<double> corrected = holm(p);
    for (std::size_t i = 1; i < 4; ++i)
      CHECK(summary.rows[first + i].cells[0].against.p_holm == corrected[i - 1]);
    CHECK(summary.rows[first + 1].cells[0].against.p_holm == 6.0 / 256);
    CHECK_FALSE(summary.rows[first].cells[0].against.p.has_value());
  }
}

TEST_CASE("one control for all replicates is said, and has no spread to measure an effect by") {
  const Experiment noise = experiment(R"(
[[interventions]]
kind = "perturb-weights"
epsilon = 0.1
seed = { range = [0, 4] }
when = "init"
)");
  auto all = observations(noise, [](auto, std::size_t a) { return static_cast<double>(a); });
  all[2].standing = Standing::Failed;
  const Summary summary = summarise(noise, all, {});
  const SummaryCell& cell = summary.rows[1].cells[0];
  CHECK(cell.one_control);
  CHECK(cell.pairs == 4);
  CHECK(cell.against.difference.n == 3);
  CHECK_FALSE(cell.against.hedges_g.has_value());
  CHECK(cell.against.p.value() == 0.25);
  CHECK(render(summary, {}).find("One control for all replicates") != std::string::npos);
}

TEST_CASE("what is left of several controls is no row with one control") {
  const Experiment noise = experiment(R"(
[[variations]]
seeds.init = [0, 1]
[[interventions]]
kind = "perturb-weights"
epsilon = 0.1
seed = { range = [0, 10] }
when = "init"
)");
  auto all = observations(noise, [](std::size_t, std::size_t a) { return static_cast<double>(a); });
  for (std::size_t number = 12; number < 22; ++number) all[number].readings[0].control = kNaN;
  const Summary summary = summarise(noise, all, {});
  CHECK(summary.rows[1].cells[0].pairs == 2);
  CHECK(summary.rows[1].cells[0].against.difference.n == 1);
  CHECK_FALSE(summary.rows[1].cells[0].against.p.has_value());
}

TEST_CASE("a metric without a direction has no better side, only a higher one") {
  const Experiment grid = experiment(R"(
[[variations]]
seeds.init = { range = [0, 3] }
[[interventions]]
set.optimizer.lr = 0.2
[[metrics]]
kind = "weight-norm"
)");
  const auto all = observations(grid, [](std::size_t v, std::size_t a) {
    return a == 0 ? 1.0 : static_cast<double>(v);  // lower, equal, higher
  });
  const std::string norm = render(summarise(grid, all, {.metrics = {"weight_norm"}, .by = {}}), {});
  CHECK(norm.find("  higher ") != std::string::npos);
  CHECK(norm.find("better") == std::string::npos);
  CHECK(norm.find("1/3, 1 tie") != std::string::npos);
  const std::string loss = render(summarise(grid, all, {.metrics = {"test.loss"}, .by = {}}), {});
  CHECK(loss.find("  better ") != std::string::npos);
}

TEST_CASE("every replicate can be seen") {
  const Experiment grid = experiment(R"(
[[variations]]
seeds.init = { range = [0, 3] }
optimizer.momentum = [0.0, 0.5]
[[interventions]]
set.optimizer.lr = 0.2
[[interventions]]
kind = "perturb-weights"
epsilon = 0.1
seed = [3, 4]
when = "init"
)");
  auto all = observations(grid, [](std::size_t v, std::size_t a) {
    return 0.7 + 0.01 * static_cast<double>(v) - 0.1 * static_cast<double>(a);
  });
  all[1].standing = Standing::Diverged;
  all[2].readings[0] = {};
  const Summary summary = summarise(grid, all, {.metrics = {"test.accuracy"}, .by = {}});
  const auto raw = replicates(grid, summary, all);
  CHECK(raw.size() == grid.trials());
  const std::string text = render(summary, raw, {});
  CHECK(text == R"(test.accuracy at the end of the run
optimizer.momentum  intervention                         seeds.init  perturb-weights.seed  trial         value  minus control
                 0  control                                       0                            0         0.700
                                                                  1                            8         0.720
                                                                  2                           16         0.740
                    optimizer.lr=0.2                              0                            1      diverged
                                                                  1                            9         0.620         -0.100
                                                                  2                           17         0.640         -0.100
                    perturb-weights epsilon=0.1 at init           0                     3      2  not measured
                                                                  0                     4      3         0.400         -0.300
                                                                  1                     3     10         0.520         -0.200
                                                                  1                     4     11         0.420         -0.300
                                                                  2                     3     18         0.540         -0.200
                                                                  2                     4     19         0.440         -0.300

               0.5  control                                       0                            4         0.710
                                                                  1                           12         0.730
                                                                  2                           20         0.750
                    optimizer.lr=0.2                              0                            5         0.610         -0.100
                                                                  1                           13         0.630         -0.100
                                                                  2                           21         0.650         -0.100
                    perturb-weights epsilon=0.1 at init           0                     3      6         0.510         -0.200
                                                                  0                     4      7         0.410         -0.300
                                                                  1                     3     14         0.530         -0.200
                                                                  1                     4     15         0.430         -0.300
                                                                  2                     3     22         0.550         -0.200
                                                                  2                     4     23         0.450         -0.300
)");

  const std::string csv = to_csv(summary, raw);
  CHECK(
      csv.starts_with("optimizer.momentum,seeds.init,perturb-weights.seed,intervention,number,"
                      "trial,standing,metric,step,epoch,value,control_value,difference\n"));
  CHECK(std::ranges::count(csv, '\n') == 1 + std::ssize(raw));
}

TEST_CASE("the summary as CSV has every figure, and nothing where there is none") {
  const Experiment grid = experiment(R"(
[[variations]]
seeds.init = { range = [0, 3] }
[[interventions]]
set.optimizer.lr = 0.2
)");
  const Summary summary = summarise(
      grid,
      observations(grid,
                   [](std::size_t v, std::size_t a) { return static_cast<double>(v * (1 + a)); }),
      {.metrics = {"test.loss"}, .by = {}});
  // Differences 0, 1, 2: mean 1, sd 1; g = 1 / sqrt(pi) x 1 / sqrt((1 + 4) / 2) = 0.357. Of 8 ways
  // to put signs, +-(1 + 2) with either sign of 0 are as extreme: p = 4 / 8.
  CHECK(to_csv(summary) ==
        "intervention,metric,trials,done,diverged,failed,missing,not_measured,never,not_finite,n,"
        "mean,sd,low,high,pairs,complete_pairs,difference,difference_sd,difference_low,difference_"
        "high,hedges_g,wins,ties,p,p_holm\n"
        "control,test.loss,3,3,0,0,0,0,0,0,3,1,1,-1.4841377117503294,3.4841377117503294,0,0,,,,,,0,"
        "0,,\n"
        "optimizer.lr=0.2,test.loss,3,3,0,0,0,0,0,0,3,2,2,-2.9682754235006588,6.968275423500659,3,"
        "3,1,1,-1.4841377117503294,3.4841377117503294,0.3568248232305542,0,1,0.5,0.5\n");
}
