#include "perturb/experiment/experiment.h"

#include <doctest/doctest.h>
#include <fmt/format.h>

#include "experiment/declared.h"
#include "perturb/core/random.h"

using namespace perturb;

namespace {

std::vector<double> numbers(const Experiment& e, const std::string& path) {
  std::vector<double> out;
  for (std::size_t v = 0; v < e.variations(); ++v)
    out.push_back(e.trial(v, 0).condition.number(path));
  return out;
}

}  // namespace

TEST_CASE("keys of one variation multiply, entries multiply, interventions add") {
  Random random(0, "grids");
  for (int round = 0; round < 50; ++round) {
    std::string text = kBase;
    std::size_t variations = 1;
    const std::vector<std::string> keys = {"seeds.init", "seeds.shuffle", "seeds.noise",
                                           "data.batch_size"};
    for (const auto& key : keys) {
      if (random.below(3) == 0) continue;
      const auto n = random.below(5) + 1;
      if (random.below(2) || text == kBase) text += "[[variations]]\n";
      text += fmt::format("{} = {{ range = [1, {}] }}\n", key, n + 1);
      variations *= n;
    }
    std::size_t alternatives = 0;
    for (std::uint64_t i = 0; i < random.below(4); ++i) {
      const auto n = random.below(4) + 1;
      const auto m = random.below(3) + 1;
      text += fmt::format(
          "[[interventions]]\nkind = 'perturb-weights'\nepsilon = {{ linspace = [0.1, 0.5, {}] }}\n"
          "seed = {{ range = [0, {}] }}\n",
          n + 1, m);
      alternatives += (n + 1) * m;
    }
    if (text.find("[[variations]]\nseeds") == std::string::npos && variations == 1) continue;
    INFO(text);
    const auto e = declared(text);
    CHECK(e.variations() == variations);
    CHECK(e.alternatives() == alternatives);
    CHECK(e.trials() == variations * (1 + alternatives));
  }
}

TEST_CASE("levels are what they say") {
  const auto levels = [](const std::string& spec) {
    return numbers(declared(kBase + "[[variations]]\noptimizer.lr = " + spec), "optimizer.lr");
  };
  CHECK(levels("[0.5, 1]") == std::vector<double>{0.5, 1});
  CHECK(levels("0.5") == std::vector<double>{0.5});
  CHECK(levels("{ range = [1, 4] }") == std::vector<double>{1, 2, 3});
  CHECK(levels("{ range = [1, 8, 3] }") == std::vector<double>{1, 4, 7});
  CHECK(levels("{ linspace = [0, 1, 5] }") == std::vector<double>{0, 0.25, 0.5, 0.75, 1});
  // Levels are shown and hashed: 0.01, not 0.010000000000000002.
  CHECK(levels("{ logspace = [0.001, 1, 4] }") == std::vector<double>{0.001, 0.01, 0.1, 1});
  // Relative to the base.
  CHECK(levels("{ scale = [2, 10] }") == std::vector<double>{0.1 * 2, 0.1 * 10});
  CHECK(levels("{ add = [0.4] }") == std::vector<double>{0.5});
  CHECK(levels("{ each = [0.5, 1] }") == std::vector<double>{0.5, 1});
}

TEST_CASE("a list is one value where the parameter is a list, and each makes levels of lists") {
  const std::string mlp = "[model]\nkind = 'mlp'\n[data]\nkind = 'mnist'\n[[variations]]\n";
  CHECK(declared(mlp + "model.hidden = [64, 32]").variations() == 1);
  const auto e = declared(mlp + "model.hidden = { each = [[64], [64, 32]] }");
  REQUIRE(e.variations() == 2);
  CHECK(display(e.trial(1, 0).condition.at("model.hidden")) == "[64, 32]");
}

TEST_CASE("zip pairs, any_of unites") {
  const auto zipped = declared(
      kBase + "[[variations]]\nzip = true\noptimizer.lr = [1, 2, 3]\nseeds.init = [4, 5, 6]");
  REQUIRE(zipped.variations() == 3);
  CHECK(numbers(zipped, "optimizer.lr") == std::vector<double>{1, 2, 3});
  CHECK(numbers(zipped, "seeds.init") == std::vector<double>{4, 5, 6});

  const auto united = declared(kBase + R"([[variations]]
seeds.init = [0, 1]
any_of = [
  { optimizer.kind = "sgd", optimizer.lr = [0.1, 0.2, 0.3] },
  { optimizer.kind = "adam", optimizer.lr = [0.001, 0.002] },
])");
  REQUIRE(united.variations() == 10);
  CHECK(united.trial(4, 0).condition.text("optimizer.kind") == "adam");
  // What the base says of SGD alone is no concern of Adam's.
  CHECK_FALSE(united.trial(4, 0).condition.has("optimizer.momentum"));
  CHECK(united.trial(4, 0).condition.has("optimizer.beta1"));
  CHECK(united.trial(0, 0).condition.number("optimizer.momentum") == 0.9);
}

TEST_CASE("a relative level of an intervention starts from the variation's value") {
  const auto e =
      declared(kBase +
               "[[variations]]\noptimizer.momentum = [0.5, 0.8]\n"
               "[[interventions]]\nset.optimizer.momentum = { scale = [1.1] }\nwhen = [0, 5]");
  CHECK(e.trial(0, 1).timeline.stretches[0].condition.number("optimizer.momentum") == 0.5 * 1.1);
  CHECK(e.trial(1, 1).timeline.stretches[0].condition.number("optimizer.momentum") == 0.8 * 1.1);
  CHECK(e.trial(1, 1).condition.number("optimizer.momentum") == 0.8);
  CHECK(e.label(1) == "optimizer.momentum x 1.1 in [0, 5)");
}

TEST_CASE("several ranges are one intervention; each makes a grid of them") {
  const std::string head = kBase + "[[interventions]]\nset.optimizer.lr = 0.5\n";
  CHECK(declared(head + "when = [[0, 5], [10, 15]]").alternatives() == 1);
  CHECK(declared(head + "when = { each = [[0, 5], [10, 15], [[0, 5], [10, 15]], 7] }")
            .alternatives() == 4);
}

TEST_CASE("overrides replace the base value or the levels, several values make a variation") {
  const std::string text = kBase + "[[variations]]\nseeds.init = { range = [0, 10] }\n";
  CHECK(declared(text, {"seeds.init=3"}).variations() == 1);
  CHECK(declared(text, {"seeds.init=3,4"}).variations() == 2);
  CHECK(declared(text, {"optimizer.lr=0.1,0.2"}).variations() == 20);
  CHECK(declared(text, {"optimizer.lr={logspace=[0.1,1,3]}"}).variations() == 30);
  CHECK(declared(text, {"train.epochs=7"}).trial(0, 0).condition.integer("train.epochs") == 7);
  CHECK(declared(text, {"model.kind=mlp", "model.hidden=[5,6]"})
            .trial(0, 0)
            .condition.at("model.hidden") == Value(List{5, 6}));
}

TEST_CASE("metrics are measured when they say, and at the end") {
  const auto e = declared(kBase +
                          "[[metrics]]\nkind = 'weight-norm'\nevery = 12\n"
                          "[[metrics]]\nkind = 'accuracy'\non = 'train'\nevery = 'never'\n"
                          "[[metrics]]\nkind = 'distance'\nevery = [0, 25, 99]\n");
  // 1,000 examples in batches of 100: epochs end at 10, 20, 30.
  std::map<std::string, std::vector<Step>> steps;
  for (const auto& m : e.measurements(e.trial(0))) {
    for (const auto i : m.metrics) steps[e.metrics()[i].label].push_back(m.step);
  }
  CHECK(steps["test.loss"] == std::vector<Step>{10, 20, 30});
  CHECK(steps["weight_norm"] == std::vector<Step>{12, 24, 30});
  CHECK(steps["distance.init"] == std::vector<Step>{0, 25});
  CHECK_FALSE(steps.contains("train.accuracy"));
  CHECK(e.warnings().size() == 1);  // step 99 lies past the end
}

TEST_CASE("levels of a metric's parameters are metrics of their own, the first key slowest") {
  const auto e = declared(kBase +
                          "[[metrics]]\nkind = 'distance'\nto = ['init', 'control']\n"
                          "layers = ['fc1.*', '*']\nevery = 12\n"
                          "[[metrics]]\nkind = 'hessian-trace'\nexamples = { range = [5, 7] }\n");
  std::vector<std::string> labels;
  for (const auto& metric : e.metrics()) labels.push_back(metric.label);
  labels.resize(6);
  CHECK(labels == std::vector<std::string>{"distance.init[layers=fc1.*]", "distance.init",
                                           "distance.control[layers=fc1.*]", "distance.control",
                                           "train.hessian_trace[examples=5]",
                                           "train.hessian_trace[examples=6]"});
  CHECK(e.metrics()[3].every.kind == Every::Kind::Steps);
}

TEST_CASE("a run of no epochs measures the state after initialisation") {
  const auto e = declared(kBase, {"train.epochs=0"});
  const auto a = e.assignment(0);
  CHECK(a.end == 0);
  REQUIRE(a.measurements.size() == 1);
  CHECK(a.measurements[0].step == 0);
}

TEST_CASE("a schedule that ends with the run is in force through the step at which that is") {
  const auto cosine = [](const std::string& epochs) {
    return declared(kBase + "[schedule]\nkind = 'cosine'\n", {"train.epochs=" + epochs})
        .trial(0, 0);
  };
  CHECK(cosine("3").timeline.stretches[0].condition.integer("schedule.horizon") == 30);
  CHECK(cosine("3").id != cosine("4").id);
  CHECK(declared(kBase + "[schedule]\nkind = 'cosine'\nhorizon = 30\n", {"train.epochs=4"})
            .trial(0, 0)
            .id == cosine("3").id);
}

TEST_CASE(
    "an intervention that no run reaches is an error, one that some ranges of miss is a warning") {
  const std::string head = kBase + "[[interventions]]\nset.optimizer.lr = 0.5\n";
  CHECK(wrong_with(head + "when = [30, 40]").find("never acts: the run ends at step 30") !=
        std::string::npos);
  CHECK(declared(head + "when = [[0, 10], [30, 40]]").warnings().size() == 1);
  CHECK(declared(head + "when = [0, 40]").warnings().empty());
}

TEST_CASE("what this build cannot carry out is valid, and said") {
  auto schema = builtin_schema();
  schema.add({.family = Family::Data,
              .name = "later",
              .help = "Data of a later release.",
              .parameters = data_parameters({}),
              .unsupported = [](const auto&) { return std::string("not yet"); }});
  const auto later = Experiment::parse(
      {"test.toml", "[model]\nkind = 'mlp'\n[data]\nkind = 'later'\n"}, "/", {}, schema, test_data);
  CHECK_FALSE(later.unsupported().empty());
  CHECK(declared(kBase).unsupported().empty());
}

TEST_CASE("several interventions together are one, and alone if asked for") {
  const std::string parts =
      "together = [{ kind = 'weight-noise', epsilon = [0.1, 0.2] },\n"
      "{ set.optimizer.lr = { scale = [0.5, 2] }, when = [0, 5] }]\n";
  const auto together = declared(kBase + "[[interventions]]\n" + parts);
  CHECK(together.alternatives() == 4);
  const auto trial = together.trial(0, 2);
  REQUIRE(trial.operations.size() == 2);
  CHECK(trial.operations[0].kind == "weight-noise");
  CHECK(trial.operations[0].windows == std::vector<Window>{{0, kForever}});
  CHECK(trial.operations[1].parameters.at("optimizer.lr") == Value(0.2));
  CHECK(trial.operations[1].windows == std::vector<Window>{{0, 5}});
  CHECK(trial.timeline.stretches.size() == 2);
  CHECK(together.label(2) == "weight-noise epsilon=0.1 and optimizer.lr x 2 in [0, 5)");

  const auto alone = declared(kBase + "[[interventions]]\nalone = true\n" + parts);
  CHECK(alone.alternatives() == 2 + 2 + 4);
  // The same trials as if they had been written by themselves.
  const auto single = declared(kBase + "[[interventions]]\nkind = 'weight-noise'\nepsilon = 0.2\n");
  CHECK(alone.trial(0, 2).id == single.trial(0, 1).id);
  CHECK(alone.factors() == std::vector<std::string>{"weight-noise.epsilon", "set.optimizer.lr"});
}

TEST_CASE("a metric may compare with the control, or with another variation's") {
  const auto grid = declared(
      kBase + "[[variations]]\noptimizer.lr = [0.1, 0.2]\nseeds.init = [5, 6, 7]\n" +
      "[[interventions]]\nset.data.batch_size = 50\nwhen = [10, 15]\n" +
      "[[metrics]]\nkind = 'distance'\nto = 'control'\nevery = 4\n" +
      "[[metrics]]\nkind = 'cosine-similarity'\nto = 'trial:seeds.init=6'\n" +
      "[[metrics]]\nkind = 'cosine-similarity'\nto = 'trial:seeds.init=7,optimizer.lr=0.1'\n");
  const auto& metrics = grid.metrics();
  CHECK_FALSE(grid.reference(metrics[3], 0));
  CHECK(grid.reference(metrics[0], 4) == 4);
  CHECK(grid.reference(metrics[1], 3) == 4);
  CHECK(grid.reference(metrics[1], 0) == 1);
  CHECK(grid.reference(metrics[2], 4) == 2);

  // Ten steps an epoch; those of 50 examples put later ones of the trial at earlier ones of the
  // control, and between epochs 1.25 and 2 the control never stands where the trial does.
  std::vector<std::pair<Step, Step>> compared;
  for (const auto& m : grid.measurements(grid.trial(0, 1))) {
    if (m.reference && m.metrics.front() == 0) compared.emplace_back(m.step, m.reference->step);
  }
  CHECK(compared == std::vector<std::pair<Step, Step>>{
                        {4, 4}, {8, 8}, {12, 11}, {24, 21}, {28, 25}, {32, 29}, {33, 30}});
}

TEST_CASE("what a task has no place for is refused where it stands") {
  Schema schema = builtin_schema();
  schema.add(
      {.family = Family::Task, .name = "dream", .help = "Nothing.", .has = {Feature::Weights}});
  const auto said = [&](const std::string& more) {
    try {
      Experiment::parse({"test.toml", kBase + "[task]\nkind = 'dream'\n" + more}, "/", {}, schema,
                        test_data);
    } catch (const InvalidExperiment& error) {
      return std::string(error.what());
    }
    return std::string();
  };
  const auto wrong = said(
      "[[interventions]]\nkind = 'label-noise'\nfraction = 0.5\n"
      "[[metrics]]\nkind = 'sharpness'\n");
  INFO(wrong);
  CHECK(wrong.find("intervention \"label-noise\" has no place in task \"dream\"") !=
        std::string::npos);
  CHECK(wrong.find("metric \"sharpness\" has no place in task \"dream\": it needs a loss") !=
        std::string::npos);
}

TEST_CASE("all errors are reported at once, each with its place and the nearest key") {
  const auto wrong =
      wrong_with("[model]\nkind = 'lenet'\n[dta]\nkind = 'mnist'\n[optimizer]\nlrr = 1\nlr = -1\n");
  for (const auto* part :
       {"test.toml:2:8", "did you mean \"lenet5\"?", "test.toml:3:", "did you mean \"data\"?",
        "test.toml:6:1", "test.toml:7:6", "at least 0"}) {
    INFO(wrong);
    CHECK(wrong.find(part) != std::string::npos);
  }
}

TEST_CASE("plugins are known before anything else of a text is, each with its place") {
  const auto names = [](const std::string& text) {
    std::string all;
    for (const auto& plugin : plugins_of({"test.toml", text}))
      all += fmt::format("{}@{}:{} ", plugin.name, plugin.place.line, plugin.place.column);
    return all;
  };
  CHECK(names("plugins = ['./a.so', '/b.so']\nmodel.kind = 'unknown'\n") ==
        "./a.so@1:12 /b.so@1:22 ");
  CHECK(names("") == "");
  // What is wrong is said by whoever reads the text, once.
  CHECK(names("plugins = 3") == "");
  CHECK(names("plugins = ['', 3, './a.so']") == "./a.so@1:19 ");
  CHECK(names("plugins = [") == "");
}

TEST_CASE(
    "one intervention draws toward one trial alone, whatever else its experiment goes on from") {
  const auto drawn = [](const std::string& first, const std::string& second) {
    const auto part = [](const std::string& toward) {
      return "  { kind = \"interpolate-weights\", toward = \"" + toward +
             "\", fraction = 0.5, when = [1, 2] },\n";
    };
    return wrong_with(kBase +
                      "[[variations]]\nseeds.init = [0, 1]\n[[interventions]]\ntogether = [\n" +
                      part(first) + part(second) + "]\n");
  };
  CHECK(drawn("trial:seeds.init=1", "trial:seeds.init=1").empty());
  CHECK(drawn("trial:seeds.init=1", "trial:seeds.init=0").find("toward one trial alone") !=
        std::string::npos);
}
