#include "perturb/report/quantity.h"

#include <algorithm>
#include <string>

#include <doctest/doctest.h>

#include "perturb/catalog/catalog.h"
#include "perturb/core/error.h"

namespace {

using namespace perturb;

Experiment experiment(const std::string& rest, std::int64_t train = 640) {
  static const Schema schema = builtin_schema();
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
epochs = 7
)";
  return Experiment::parse({"test.toml", base + rest}, ".", {}, schema, [train](const Condition&) {
    return DataFacts{.train = train, .test = 64};
  });
}

const char* const kNorm = "[[metrics]]\nkind = \"weight-norm\"\nevery = 25\n";

/// What the error says and advises; empty if there is none.
template <class Act>
std::string error_of(const Act& act) {
  try {
    act();
  } catch (const Error& error) {
    CHECK(error.code() == ExitCode::Usage);
    return std::string(error.what()) + " | " + error.advice();
  }
  return "";
}

}  // namespace

TEST_CASE("labels, areas and crossings are understood, with spaces or without") {
  const Experiment read = experiment(kNorm);
  const auto all = quantities(read,
                              {"test.loss", " auc( test.accuracy )", "steps_to(test.loss, 0.50)",
                               "steps_to(weight_norm,1e3)", "test.loss"},
                              {});
  REQUIRE(all.size() == 4);  // what is asked for twice is shown once
  CHECK(all[0].label == "test.loss");
  CHECK(all[0].better == Better::Lower);
  CHECK(all[1].kind == Quantity::Kind::Auc);
  CHECK(all[1].label == "auc(test.accuracy)");
  CHECK(all[1].better == Better::Higher);
  CHECK(all[2].kind == Quantity::Kind::StepsTo);
  CHECK(all[2].label == "steps_to(test.loss,0.5)");
  CHECK(all[2].better == Better::Lower);
  CHECK(all[3].threshold == 1000);
  CHECK(all[3].better == Better::Neither);

  const auto usual = quantities(read, {}, {});
  REQUIRE(usual.size() == 2);
  CHECK(usual[0].label == "test.accuracy");
  CHECK(usual[1].label == "test.loss");
}

TEST_CASE("commas inside parentheses separate nothing") {
  CHECK(split_metrics("a,steps_to(b,0.8),c") ==
        std::vector<std::string>{"a", "steps_to(b,0.8)", "c"});
  CHECK(split_metrics("a") == std::vector<std::string>{"a"});
  CHECK(split_metrics("steps_to(b,0.8") == std::vector<std::string>{"steps_to(b,0.8"});
}

TEST_CASE("what is no quantity is said, with what was meant") {
  const Experiment read = experiment(kNorm);
  const auto error = [&](const std::string& word) {
    return error_of([&] { quantities(read, {word}, {}); });
  };
  CHECK(error("test.acuracy") ==
        "the experiment does not measure \"test.acuracy\" | did you mean \"test.accuracy\"?");
  CHECK(error("auc(test.los)") ==
        "the experiment does not measure \"test.los\" | did you mean \"test.loss\"?");
  CHECK(error("steps_to(weight.norm,1)") ==
        "the experiment does not measure \"weight.norm\" | did you mean \"weight_norm\"?");
  CHECK(error("zzzzzzzzzzzz") ==
        "the experiment does not measure \"zzzzzzzzzzzz\" | it measures weight_norm, train.loss, "
        "train.accuracy, test.loss, test.accuracy");
  CHECK(error("acu(test.loss)") == "there is no \"acu\" of a metric | did you mean \"auc\"?");
  CHECK(error("median(test.loss)") ==
        "there is no \"median\" of a metric | there are auc(LABEL), steps_to(LABEL,NUMBER), "
        "noise_auc(LABEL) and noise_half(LABEL,CHANCE)");
  for (const char* word :
       {"steps_to(test.loss)", "steps_to(test.loss,)", "steps_to(test.loss,x)",
        "steps_to(test.loss,nan)", "steps_to(test.loss,0.5", "auc(test.loss)x", "test.loss)"}) {
    CAPTURE(word);
    CHECK(error(word).starts_with("cannot read the metric \"" + std::string(word) +
                                  "\" | write LABEL, auc(LABEL), steps_to(LABEL,NUMBER)"));
  }
}

TEST_CASE("places in a run are understood, and others refused") {
  CHECK(at_from("last").kind == At::Kind::Last);
  CHECK(at_from("best").kind == At::Kind::Best);
  CHECK(at_from("1200").kind == At::Kind::GivenStep);
  CHECK(at_from("1200").step == 1200);
  CHECK(at_from("0").step == 0);
  CHECK(at_from("epoch:2.5").epoch == 2.5);
  CHECK(error_of([] { at_from("bset"); }) ==
        "--at \"bset\" is no place in a run | did you mean \"best\"?");
  for (const char* text : {"-1", "12x", "epoch:", "epoch:-1", "epoch:nan", "", "1e3"}) {
    CAPTURE(text);
    CHECK(error_of([&] { at_from(text); }) ==
          "--at \"" + std::string(text) +
              "\" is no place in a run | --at takes a step, epoch:N, last or best");
  }
}

TEST_CASE("a best value needs a direction, and what is of the whole run has no place in it") {
  const Experiment read = experiment(kNorm);
  CHECK(error_of([&] { quantities(read, {"weight_norm"}, at_from("best")); }) ==
        "\"weight_norm\" has no best value: neither higher nor lower is better | --at last, --at "
        "STEP or --at epoch:N say where to look, --metric at what");
  CHECK(error_of([&] { quantities(read, {"auc(test.loss)"}, at_from("best")); }) ==
        "auc(test.loss) is of the whole run, not of one place in it | leave out --at, or ask for "
        "the metric itself");
  CHECK(quantities(read, {"test.loss"}, at_from("best")).size() == 1);
}

TEST_CASE("a step or epoch at which nothing is measured is said, with the nearest") {
  const Experiment read = experiment(kNorm);  // 10 steps an epoch, 70 in all
  const auto check = [&](const std::string& metric, const char* place) {
    const At at = at_from(place);
    return error_of([&] { check_at(read, quantities(read, {metric}, at), at); });
  };
  CHECK(check("test.accuracy", "30").empty());
  CHECK(check("test.accuracy", "epoch:3").empty());
  CHECK(check("test.accuracy", "last").empty());
  CHECK(check("weight_norm", "25").empty());
  CHECK(check("test.accuracy", "25") ==
        "no trial measures \"test.accuracy\" at step 25 | the nearest steps of the first trial: 20 "
        "and 30");
  CHECK(check("weight_norm", "epoch:3") ==
        "no trial measures \"weight_norm\" at epoch 3 | the nearest epochs of the first trial: 2.5 "
        "and 5");
  CHECK(check("test.accuracy", "71") ==
        "no trial measures \"test.accuracy\" at step 71 | the nearest steps of the first trial: "
        "70");
  // Some trials may be measured where others are not.
  const Experiment sizes = experiment("[[variations]]\ndata.batch_size = [64, 32]\n");
  CHECK(error_of([&] {
          check_at(sizes, quantities(sizes, {}, at_from("140")), at_from("140"));
        }).empty());
}

TEST_CASE("which states are asked for, and how many, is what the experiment measures") {
  // 650 examples: epochs of 11 steps, of which the last is short.
  for (const char* every : {"\"epoch\"", "{ epochs = 3 }", "{ epochs = 7 }", "1", "20", "77", "100",
                            "{ log = 2 }", "{ log = 10 }", "[0, 5, 5, 22, 300]", "\"end\""}) {
    CAPTURE(every);
    const Experiment read = experiment(
        "[[metrics]]\nkind = \"weight-norm\"\nevery = " + std::string(every) + "\n", 650);
    const Quantity quantity = quantities(read, {"weight_norm"}, {})[0];
    const Every& when = read.metrics()[quantity.metric].every;
    const Trial trial = read.trial(0);
    const Step end = read.end(trial);
    const Calendar calendar(trial.timeline, 650);
    std::vector<Step> expected;
    for (const Measurement& measurement : read.measurements(trial)) {
      if (std::ranges::find(measurement.metrics, quantity.metric) != measurement.metrics.end())
        expected.push_back(measurement.step);
    }
    std::vector<Step> asked;
    for (Step step = 0; step <= end + 10; ++step) {
      if (asks_for(when, step, calendar.epochs_before(step), end)) asked.push_back(step);
    }
    CHECK(asked == expected);
    CHECK(states_asked_for(when, end, calendar.epochs_before(expected.back())) ==
          std::ssize(expected));
  }
}
