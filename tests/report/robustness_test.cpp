#include "perturb/report/robustness.h"

#include <algorithm>
#include <limits>
#include <set>
#include <string>
#include <tuple>
#include <vector>

#include <doctest/doctest.h>
#include <nlohmann/json.hpp>

#include "perturb/catalog/catalog.h"
#include "perturb/core/error.h"
#include "perturb/core/random.h"

namespace {

using namespace perturb;
using nlohmann::json;

constexpr double kNaN = std::numeric_limits<double>::quiet_NaN();

constexpr const char* kFile = R"(
[model]
kind = "mlp-small"
[data]
kind = "fashion-mnist"
batch_size = 64
[train]
epochs = 1
[[variations]]
model.kind = ["mlp-small", "cnn"]
seeds.init = [0, 1, 2]
)";
constexpr const char* kNoise = R"(
[[interventions]]
kind = "weight-noise"
epsilon = 0.5
[[metrics]]
kind = "noisy-accuracy"
strength = [0, 0.1, 0.5]
every = "end"
[[metrics]]
kind = "noisy-loss"
strength = [0, 0.1, 0.5]
every = "end"
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

  /// A value that says what it is of.
  static double value(std::size_t number, const MetricSpec& metric) {
    const auto strength = metric.parameters.find("strength");
    const double of = strength == metric.parameters.end() ? 0 : strength->second.as_float();
    const double accuracy = 0.9 - static_cast<double>(number) / 1000 - of / 3;
    return metric.kind == "noisy-loss" ? 1 - accuracy : accuracy;
  }
  void keep(std::size_t number, Outcome outcome = Outcome::Done) {
    const Assignment assignment = read.assignment(number);
    Record record{.trial = assignment.trial.id, .outcome = outcome, .step = 10};
    if (outcome != Outcome::Done) record.step = 5;
    for (const Measurement& measurement : assignment.measurements) {
      if (measurement.step > record.step) continue;
      for (const std::size_t metric : measurement.metrics) {
        const MetricSpec& spec = assignment.metrics[metric];
        record.measured.push_back({measurement.step, measurement.epoch, measurement.state,
                                   spec.definition(), value(number, spec)});
      }
    }
    store.keep(run, record);
    store.flush();
  }
  void keep_all() {
    for (std::size_t number = 0; number < read.trials(); ++number) keep(number);
  }
  Robustness robustness() const {
    std::vector<Digest> trials;
    std::vector<Step> ends;
    for (std::size_t number = 0; number < read.trials(); ++number) {
      trials.push_back(read.trial(number).id);
      ends.push_back(read.end(read.trial(number)));
    }
    return perturb::robustness(Results(read, store, std::move(trials), std::move(ends)));
  }
  std::string error() const {
    try {
      robustness();
    } catch (const Error& error) {
      CHECK(error.code() == ExitCode::Usage);
      return std::string(error.what()) + " | " + error.advice();
    }
    return "";
  }
};

NoisyScores network(const std::string& architecture, bool noisy, std::int64_t seed,
                    double accuracy) {
  return {.architecture = architecture,
          .dataset = "mnist",
          .noisy = noisy,
          .seed = seed,
          .alpha_train = noisy ? 0.5 : 0,
          .accuracy = {accuracy, accuracy / 3},
          .loss = {0.1, kNaN}};
}

Robustness made(std::vector<NoisyScores> networks) {
  return {.strengths = {0, 0.1}, .networks = std::move(networks), .left_out = {}};
}

std::string refused(const RobustnessFiles& files) {
  try {
    merged(files, made({network("cnn", false, 0, 0.9)}));
  } catch (const Error& error) {
    CHECK(error.code() == ExitCode::Usage);
    return error.what();
  }
  return "";
}

const std::string kHead = "architecture,regime,seed,dataset,alpha_train,acc_0,acc_01,drop_at_01\n";
const std::string kSweepHead = "architecture,regime,seed,dataset,alpha_train,alpha_test,acc,loss\n";

}  // namespace

TEST_CASE_FIXTURE(Fixture, "controls are clean, noise over the whole run is noisy") {
  keep_all();
  const Robustness found = robustness();
  CHECK(found.strengths == std::vector<double>{0, 0.1, 0.5});
  CHECK(found.left_out.empty());
  REQUIRE(found.networks.size() == 12);
  for (std::size_t number = 0; number < 12; ++number) {
    const NoisyScores& one = found.networks[number];
    CHECK(one.architecture == (number < 6 ? "mlp_small" : "cnn"));
    CHECK(one.dataset == "fashion_mnist");
    CHECK(one.seed == static_cast<std::int64_t>(number / 2 % 3));
    CHECK(one.noisy == (number % 2 == 1));
    CHECK(one.alpha_train == (one.noisy ? 0.5 : 0));
    // Bitwise: values are copied.
    CHECK(one.accuracy[1] == 0.9 - static_cast<double>(number) / 1000 - 0.1 / 3);
    CHECK(one.loss[1] == 1 - one.accuracy[1]);
  }
  const auto drops = mean_drops(found);
  REQUIRE(drops.size() == 4);
  CHECK(drops[1].architecture == "mlp_small");
  CHECK(drops[1].noisy);
  CHECK(drops[1].drop.n == 3);
  CHECK(drops[1].drop.mean == doctest::Approx(0.1 / 3));
  CHECK(drops[1].accuracy.mean == doctest::Approx(0.897));
}

TEST_CASE("training with noise does no harm as long as the drop grows by 0.02 at most") {
  const auto drop = [](const char* architecture, bool noisy, double mean) {
    MeanDrop one;
    one.architecture = architecture;
    one.noisy = noisy;
    one.drop.mean = mean;
    return one;
  };
  const std::vector<MeanDrop> all = {drop("a", false, 0.01), drop("a", true, 0.029),
                                     drop("b", false, 0.01), drop("b", true, 0.031),
                                     drop("c", true, 0.5)};
  CHECK(stands_up(all[1], all) == true);
  CHECK(stands_up(all[3], all) == false);
  CHECK_FALSE(stands_up(all[0], all));
  CHECK_FALSE(stands_up(all[4], all));  // nothing to compare with
}

TEST_CASE_FIXTURE(Fixture, "every trial is a row or is left out with its reason") {
  keep(0);
  keep(1, Outcome::Diverged);
  keep(2, Outcome::Crashed);
  keep(3);
  const Robustness found = robustness();
  CHECK(found.networks.size() == 2);
  std::size_t left_out = 0;
  for (const LeftOut& group : found.left_out) left_out += group.trials.size();
  CHECK(left_out == 10);
  REQUIRE(found.left_out.size() == 3);
  CHECK(found.left_out[0].why == "diverged");
  CHECK(found.left_out[1].why == "failed");
  CHECK(found.left_out[2].why == "to run");
}

TEST_CASE("a strength that was not measured yet is named") {
  Fixture before;
  before.keep_all();
  Fixture after(R"(
[[interventions]]
kind = "weight-noise"
epsilon = 0.5
[[metrics]]
kind = "noisy-accuracy"
strength = [0, 0.1, 0.2]
every = "end"
)");
  for (std::size_t number = 0; number < after.read.trials(); ++number)
    REQUIRE(after.read.trial(number).id == before.read.trial(number).id);
  std::swap(after.store, before.store);
  const Robustness found = after.robustness();
  CHECK(found.networks.empty());
  REQUIRE(found.left_out.size() == 1);
  CHECK(found.left_out[0].why == "accuracy not measured at strength 0.2");
}

TEST_CASE("what is neither regime is no row, whatever it is") {
  for (const char* other :
       {"set.optimizer.lr = 0.5", "kind = \"weight-noise\"\nepsilon = 0.5\nwhen = [0, 5]",
        "kind = \"weight-noise\"\nepsilon = 0.5\nrelative_to = \"norm\"",
        "kind = \"weight-noise\"\nepsilon = 0.5\nlayers = \"*.weight\"",
        "kind = \"perturb-weights\"\nepsilon = 0.5",
        "together = [{ kind = \"weight-noise\", epsilon = 0.5 }, { set.optimizer.lr = 0.5 }]"}) {
    CAPTURE(other);
    Fixture fixture(std::string(kNoise) + "[[interventions]]\n" + other + "\n");
    fixture.keep_all();
    const Robustness found = fixture.robustness();
    CHECK(found.networks.size() == 12);
    REQUIRE(found.left_out.size() == 1);
    CHECK(found.left_out[0].trials.size() == 6);
    CHECK(found.left_out[0].why.ends_with(
        ": neither a control nor weight-noise alone over the whole run"));
  }
  // Said by a window, the whole run is the whole run.
  Fixture window(std::string(kNoise) +
                 "[[interventions]]\nkind = \"weight-noise\"\nepsilon = 0.2\nwhen = [0, 10]\n");
  window.keep_all();
  CHECK(window.robustness().networks.size() == 18);
}

TEST_CASE("what varies without a column is an error that names it") {
  const auto error = [](const std::string& rest) { return Fixture(rest + kNoise).error(); };
  CHECK(error("optimizer.lr = [0.1, 0.2]\n")
            .starts_with("\"optimizer.lr\" varies among networks of one architecture and regime"));
  CHECK(error("optimizer.lr = [0.1, 0.2]\n").ends_with("after the file: optimizer.lr=..."));
  // Seeds that follow seeds.init are the same replicate; those that do not make two of a row.
  CHECK(error("[[variations]]\nseeds.shuffle = [0, 1]\n")
            .starts_with("trials 0 and 2 would be one row: \"seeds.shuffle\" varies"));
  const std::string seeds = R"(
[[interventions]]
kind = "weight-noise"
epsilon = 0.3
seed = [0, 1]
)";
  CHECK(error(seeds).find("\"weight-noise.seed\" varies") != std::string::npos);
  // Several strengths in training are several networks.
  CHECK(Fixture(R"(
[[interventions]]
kind = "weight-noise"
epsilon = [0.1, 0.5]
[[metrics]]
kind = "noisy-accuracy"
strength = [0, 0.1]
)")
            .error()
            .empty());
}

TEST_CASE("what has to be measured is said") {
  const auto error = [](const std::string& metrics) { return Fixture(metrics).error(); };
  CHECK(error("").find("kind = \"noisy-accuracy\"") != std::string::npos);
  CHECK(error("[[metrics]]\nkind = \"noisy-accuracy\"\nstrength = [0, 0.2]\n")
            .find("not measured at strength 0.1") != std::string::npos);
  CHECK(error("[[metrics]]\nkind = \"noisy-accuracy\"\nstrength = [0.1, 0.2]\n")
            .find("not measured at strength 0,") != std::string::npos);
  const std::string twice =
      "[[metrics]]\nkind = \"noisy-accuracy\"\nstrength = [0, 0.1]\n"
      "[[metrics]]\nkind = \"noisy-accuracy\"\nstrength = [0, 0.1]\ndraws = 2\n";
  CHECK(error(twice).find("twice: test.accuracy and test.accuracy[draws=2]") != std::string::npos);
}

TEST_CASE("merging twice is merging once, and keeps what is of other networks") {
  Random random(/*seed=*/7, "networks");
  const auto draw = [&](std::size_t n) {
    Robustness some = made({});
    std::set<std::tuple<std::string, bool, std::int64_t>> seen;
    while (some.networks.size() < n) {
      auto one = network(random.below(2) == 0 ? "cnn" : "a,\"b\"\n", random.below(2) == 0,
                         static_cast<std::int64_t>(random.below(9)), random.uniform());
      if (seen.emplace(one.architecture, one.noisy, one.seed).second)
        some.networks.push_back(std::move(one));
    }
    return some;
  };
  for (int i = 0; i < 20; ++i) {
    const Robustness before = draw(1 + random.below(20));
    const Robustness after = draw(1 + random.below(20));
    const RobustnessFiles first = merged({}, before);
    const RobustnessFiles once = merged(first, after);
    const RobustnessFiles twice = merged(once, after);
    CHECK(*twice.summary == *once.summary);
    CHECK(*twice.sweep == *once.sweep);
    CHECK(*twice.json == *once.json);
    // A file that is lost comes back from the others.
    CHECK(*merged({.json = once.json}, after).summary == *once.summary);
    CHECK(*merged({.summary = once.summary, .sweep = once.sweep}, after).json == *once.json);

    // The rows of before in their places, each as it is now, and the new ones behind.
    std::vector<NoisyScores> expected = before.networks;
    for (const NoisyScores& one : after.networks) {
      auto same = std::ranges::find_if(expected, [&](const NoisyScores& other) {
        return other.architecture == one.architecture && other.noisy == one.noisy &&
               other.seed == one.seed;
      });
      if (same == expected.end())
        expected.push_back(one);
      else
        *same = one;
    }
    const json rows = json::parse(*once.json);
    REQUIRE(rows["summary"].size() == expected.size());
    REQUIRE(rows["sweep"].size() == 2 * expected.size());
    for (std::size_t row = 0; row < expected.size(); ++row) {
      const NoisyScores& one = expected[row];
      const json& summary = rows["summary"][row];
      CHECK(summary["architecture"] == one.architecture);
      CHECK(summary["regime"] == (one.noisy ? "noisy" : "clean"));
      CHECK(summary["seed"] == one.seed);
      CHECK(summary["alpha_train"] == one.alpha_train);
      // Bitwise: every digit is there.
      CHECK(summary["acc_0"].get<double>() == one.accuracy[0]);
      CHECK(summary["acc_01"].get<double>() == one.accuracy[1]);
      CHECK(summary["drop_at_01"].get<double>() == one.accuracy[0] - one.accuracy[1]);
    }
  }
}

TEST_CASE("keys are values, however they are written") {
  const Robustness now = made({network("cnn", true, 0, 0.75), network("cnn", false, 0, 0.5)});
  for (const char* seed : {"0", "0.0", "-0", "0e5"}) {
    for (const char* alpha : {"0", "0.0", "-0.0", "0.00"}) {
      CAPTURE(seed);
      CAPTURE(alpha);
      const std::string row = std::string("cnn,clean,") + seed + ",mnist," + alpha;
      const RobustnessFiles files = merged({.summary = kHead + row + ",0.1,0.2,-0.1\n",
                                            .sweep = kSweepHead + row + ",0.10,0.1,\r\n"},
                                           now);
      // Replaced in its place, and the other comes after it.
      CHECK(*files.summary == kHead + "cnn,clean,0,mnist,0,0.5,0.16666666666666666," +
                                  "0.33333333333333337\ncnn,noisy,0,mnist,0.5,0.75,0.25,0.5\n");
      CHECK(files.sweep->starts_with(kSweepHead + "cnn,clean,0,mnist,0,0.1,0.16666666666666666,"));
    }
  }
  // Rows that were doubled since "0" was not 0 become one again.
  const RobustnessFiles doubled =
      merged({.summary = kHead + "cnn,clean,0,mnist,0.0,1,1,0\nmlp,clean,0,mnist,0,1,1,0\n" +
                         "cnn,clean,0,mnist,0,1,1,0\n"},
             made({network("cnn", false, 0, 0.75)}));
  CHECK(*doubled.summary ==
        kHead + "cnn,clean,0,mnist,0,0.75,0.25,0.5\nmlp,clean,0,mnist,0,1,1,0\n");
}

TEST_CASE("seeds beyond 2^53 are not rounded into each other") {
  constexpr std::int64_t kLarge = 9007199254740993;
  const RobustnessFiles files = merged({}, made({network("cnn", false, kLarge, 0.5)}));
  const RobustnessFiles both = merged(files, made({network("cnn", false, kLarge - 1, 0.5)}));
  CHECK(json::parse(*both.json)["summary"].size() == 2);
  CHECK(both.summary->find("9007199254740993,") != std::string::npos);
  CHECK(both.summary->find("9007199254740992,") != std::string::npos);
}

TEST_CASE("what is no such table is refused") {
  const std::string row = "mlp,clean,0,mnist,0,0.9,0.8,0.1\n";
  CHECK(refused({.summary = kHead + row}).empty());
  CHECK(refused({.summary = ""}).starts_with("summary.csv: another table"));
  CHECK(refused({.summary = "a,b\n1,2\n"}).starts_with("summary.csv: another table"));
  CHECK(refused({.summary = kSweepHead}).starts_with("summary.csv: another table"));
  CHECK(refused({.summary = std::string("\x7f"
                                        "ELF\0\xff",
                                        6)})
            .starts_with("summary.csv: another table"));
  CHECK(refused({.summary = kHead + "mlp,clean,0\n"}) ==
        "summary.csv, line 2: 3 cells instead of 8");
  CHECK(refused({.summary = kHead + row + "mlp,clean,x,mnist,0,0.9,0.8,0.1\n"}) ==
        "summary.csv, line 3, seed: \"x\" is no number");
  CHECK(refused({.summary = kHead + "mlp,clean,0.5,mnist,0,0.9,0.8,0.1\n"}) ==
        "summary.csv, line 2, seed: 0.5 is no seed");
  CHECK(refused({.summary = kHead + "mlp,clean,0,mnist,,0.9,0.8,0.1\n"}) ==
        "summary.csv, line 2, alpha_train: \"\" is no number");
  CHECK(refused({.summary = kHead + "mlp,clean,0,mnist,nan,0.9,0.8,0.1\n"}).find("not finite") !=
        std::string::npos);
  CHECK(refused({.summary = kHead + "\"mlp,clean,0,mnist,0,0.9,0.8,0.1\n"})
            .find("a quotation mark has no other") != std::string::npos);
  CHECK(refused({.summary = kHead + "\"mlp\"x,clean,0,mnist,0,0.9,0.8,0.1\n"})
            .find("after a quoted cell") != std::string::npos);
  CHECK(refused({.sweep = kHead}).starts_with("sweep.csv: another table"));
  for (const char* text :
       {"", "[]", "{\"summary\": []}", "{\"summary\": [], \"sweep\": [], \"x\": 1}",
        "{\"summary\": []", "null"}) {
    CAPTURE(text);
    CHECK(refused({.json = text}).starts_with("results.json: no object of the two tables"));
  }
  CHECK(refused({.json = R"({"summary": [], "sweep": []})"}).empty());
  CHECK(refused({.json = R"({"summary": {}, "sweep": []})"}).find("no list of rows") !=
        std::string::npos);
  CHECK(refused({.json = R"({"summary": [1], "sweep": []})"}) ==
        "results.json, row 1 of summary: not the table's columns");
}

TEST_CASE("files that disagree about a row that stays are refused, about one that goes are not") {
  const RobustnessFiles old = merged({}, made({network("mlp", false, 0, 0.9)}));
  RobustnessFiles other = old;
  other.json = merged({}, made({network("mlp", false, 0, 0.8)})).json;
  CHECK(refused(other) == "results.json: not what summary.csv says of mlp, clean, 0, mnist, 0");
  const RobustnessFiles mended = merged(other, made({network("mlp", false, 0, 0.7)}));
  CHECK(*mended.json == *merged({}, made({network("mlp", false, 0, 0.7)})).json);
}
