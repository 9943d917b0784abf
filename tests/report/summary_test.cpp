#include "perturb/report/summary.h"

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
    all.push_back({trial.id, Standing::Done, {made, made}});
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
    CHECK(row.cells[0].difference.n == (row.control ? 0 : 3));
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
  CHECK(summary.rows[1].cells[0].difference.mean == doctest::Approx(2.5));
  CHECK(summary.rows[2].cells[0].difference.mean == doctest::Approx(6.5));
  CHECK(summary.rows[2].cells[0].difference.n == 4);
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
  CHECK(cell.difference.mean == doctest::Approx(0.25));
  CHECK(cell.difference.sd.value() == doctest::Approx(0.0));
  CHECK(cell.difference.n == 5);
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
  CHECK(cell.difference.n == 2);
  CHECK(cell.difference.mean == doctest::Approx(2.0));
  CHECK(cell.difference.sd.value() == doctest::Approx(std::sqrt(2.0)));
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
  all[7].values = {kNaN, 3.0};
  all[8].standing = Standing::Diverged;  // a control: its intervention has no partner
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
  CHECK(row.cells[0].difference.n == 1);
  CHECK(row.cells[1].difference.n == 2);

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
  CHECK_THROWS_AS(summary_metrics(grid, {.metrics = {"test.acuracy"}, .by = {}}), Error);
  CHECK(summary_metrics(grid, {}) == std::vector<std::string>{"test.accuracy", "test.loss"});
  try {
    summary_metrics(grid, {.metrics = {"test.acuracy"}, .by = {}});
  } catch (const Error& error) {
    CHECK(error.advice().find("test.accuracy") != std::string::npos);
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
  // interval is 0.72 +- 4.303 x 0.02 / sqrt(3) = 0.72 +- 0.0497.
  CHECK(render(summary, {}) == R"(test.accuracy at the end of the run
optimizer.momentum  intervention      n      mean ± sd    95% interval  minus control      95% interval
                 0  control           3  0.720 ± 0.020  [0.670, 0.770]
                    optimizer.lr=0.2  3  0.620 ± 0.020  [0.570, 0.670]         -0.100  [-0.100, -0.100]

               0.5  control           3  0.730 ± 0.020  [0.680, 0.780]
                    optimizer.lr=0.2  3  0.630 ± 0.020  [0.580, 0.680]         -0.100  [-0.100, -0.100]

Replicates: seeds.init.
Differences are paired with the control of the same variation; several to one control are averaged first.
Intervals are Student's t, each by itself: not corrected for many comparisons.
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
