// An experiment that goes on from another: which trial is meant, and what identity takes of it.
#include <filesystem>
#include <fstream>
#include <string>

#include <doctest/doctest.h>

#include "experiment/declared.h"
#include "perturb/experiment/ancestry.h"
#include "temporary_folder.h"

using namespace perturb;
namespace fs = std::filesystem;

namespace {

/// 10 steps an epoch, three epochs.
const std::string kPretrain = "name = \"pretrain\"\n" + kBase + R"(
[[variations]]
seeds.init = [0, 1, 2]
optimizer.lr = [0.1, 0.01]
)";

/// The base with a reference in it.
std::string tuned(const std::string& reference, const std::string& more = "") {
  auto text = kBase;
  text.replace(text.find("kind = \"lenet5\""), 15, "kind = \"lenet5\"\nfrom = " + reference);
  return "name = \"tune\"\n" + text + more;
}

const std::string kFrom = "{ experiment = \"pretrain.toml\" }";

/// Experiment files in a folder of their own.
class Files {
 public:
  Files() { write("pretrain.toml", kPretrain); }

  void write(const std::string& name, const std::string& text) const {
    fs::create_directories((folder_.path() / name).parent_path());
    std::ofstream(folder_.path() / name, std::ios::binary) << text;
  }
  Experiment read(const std::string& name, const std::vector<std::string>& overrides = {}) const {
    const auto file = folder_.path() / name;
    Ancestry ancestry(file, [](const fs::path& other, const ExperimentLookup& others) {
      return Experiment::load(other, {}, test_schema(), test_data, others);
    });
    return Experiment::load(file, overrides, test_schema(), test_data, ancestry.lookup());
  }
  Experiment tune(const std::string& reference, const std::string& more = "") const {
    write("tune.toml", tuned(reference, more));
    return read("tune.toml");
  }
  /// All that is wrong with a text; empty when nothing is.
  std::string wrong(const std::string& text) const {
    write("wrong.toml", text);
    try {
      read("wrong.toml");
    } catch (const Error& error) {
      return error.what() + error.advice();
    }
    return {};
  }
  const fs::path& path() const { return folder_.path(); }

 private:
  TemporaryFolder folder_;
};

bool has(const std::string& text, const std::string& words) {
  return text.find(words) != std::string::npos;
}

}  // namespace

TEST_CASE("a trial goes on from the control that has what it has, at the end") {
  const Files files;
  const auto tune = files.tune(kFrom, "[[variations]]\nseeds.init = [2, 0]\n");
  const auto pretrain = files.read("pretrain.toml");
  REQUIRE(tune.others().size() == 1);
  CHECK(tune.others()[0].experiment->name() == "pretrain");
  // Variations are (seed, rate); its own rate is 0.1.
  const std::size_t meant[] = {4, 0};
  for (std::size_t v = 0; v < 2; ++v) {
    const auto trial = tune.trial(v, 0);
    REQUIRE(trial.from);
    CHECK(trial.from->other == 0);
    CHECK(trial.from->trial == meant[v]);
    CHECK(trial.from->step == 30);
    CHECK(trial.from->state == pretrain.trial(meant[v]).state(30));
  }
  CHECK(tune.trial(0, 0).id != tune.trial(1, 0).id);
}

TEST_CASE("a control's number counts the interventions between") {
  const Files files;
  files.write("pretrain.toml",
              kPretrain + "[[interventions]]\nset.optimizer.momentum = [0, 0.5]\n");
  const auto trial = files.tune(kFrom, "[[variations]]\nseeds.init = [1]\n").trial(0, 0);
  CHECK(trial.from->trial == 6);
}

TEST_CASE(
    "select takes the place of what the trial itself has; what does not vary there may be said") {
  const Files files;
  const auto pretrain = files.read("pretrain.toml");
  const auto selected = [&](const std::string& select) {
    return files.tune("{ experiment = \"pretrain.toml\", select = " + select + " }")
        .trial(0, 0)
        .from->trial;
  };
  CHECK(selected("{}") == 0);
  CHECK(selected("{ seeds.init = 1 }") == 2);
  CHECK(selected("{ \"seeds.init\" = 1, optimizer.lr = 0.01 }") == 3);
  CHECK(selected("{ seeds = { init = 2 }, data.batch_size = 100 }") == 4);
  // An integer is the float that it is.
  files.write("pretrain.toml",
              "name = \"pretrain\"\n" + kBase + "[[variations]]\noptimizer.momentum = [0, 1]\n");
  CHECK(selected("{ optimizer.momentum = 1 }") == 1);
}

TEST_CASE("at says when: the end, a step, or after so many epochs") {
  const Files files;
  const auto step = [&](const std::string& at) {
    return files.tune("{ experiment = \"pretrain.toml\", at = " + at + " }").trial(0, 0).from->step;
  };
  CHECK(step("\"end\"") == 30);
  CHECK(step("7") == 7);
  CHECK(step("0") == 0);
  CHECK(step("{ epochs = 2 }") == 20);
  CHECK(has(files.wrong(tuned("{ experiment = \"pretrain.toml\", at = 31 }")),
            "has no step 31: it ends at step 30"));
  CHECK(has(files.wrong(tuned("{ experiment = \"pretrain.toml\", at = \"later\" }")),
            "it is \"end\", a step, or { epochs = n }"));
}

TEST_CASE(
    "identity takes the state, not what the file is called, where it lies or how it is written") {
  const Files files;
  const auto id = files.tune(kFrom).trial(0, 0).id;
  const auto id_from = [&](const std::string& reference) {
    return files.tune(reference).trial(0, 0).id;
  };
  files.write(
      "elsewhere/renamed.toml",
      "name = \"renamed\"\n" + kBase +
          "[[variations]]\noptimizer.lr = [0.01, 0.1]\n[[variations]]\nseeds.init = [5, 0]\n"
          "[[interventions]]\nset.optimizer.lr = 0.2\n[[metrics]]\nkind = \"weight-norm\"\n");
  CHECK(id_from("{ experiment = \"elsewhere/renamed.toml\" }") == id);
  CHECK(id_from("{ experiment = \"pretrain.toml\", at = 30 }") == id);
  CHECK(id_from("{ experiment = \"pretrain.toml\", at = { epochs = 3 }, select = {} }") == id);

  // Beyond the state that is meant nothing matters.
  const auto early = id_from("{ experiment = \"pretrain.toml\", at = 10 }");
  CHECK(early != id);
  auto longer = kPretrain;
  longer.replace(longer.find("epochs = 3"), 10, "epochs = 9");
  files.write("pretrain.toml", longer);
  CHECK(id_from("{ experiment = \"pretrain.toml\", at = 10 }") == early);
  CHECK(id_from("{ experiment = \"pretrain.toml\", at = 30 }") == id);
  CHECK(id_from(kFrom) != id);

  auto other = kPretrain;
  other.replace(other.find("momentum = 0.9"), 14, "momentum = 0.8");
  files.write("pretrain.toml", other);
  CHECK(id_from(kFrom) != id);
  // And without a reference it is what it always was.
  CHECK(declared(kBase).trial(0, 0).id != id);
}

TEST_CASE("an intervention goes on from the same state as its control, unless it says otherwise") {
  const Files files;
  const auto tune = files.tune(kFrom,
                               "[[interventions]]\nset.optimizer.lr = 0.01\n"
                               "[[interventions]]\nset.model.from = { experiment = "
                               "\"pretrain.toml\", select = { seeds.init = 2 } }\n");
  CHECK(tune.trial(0, 1).from->state == tune.trial(0, 0).from->state);
  CHECK(tune.trial(0, 1).id != tune.trial(0, 0).id);
  CHECK(tune.trial(0, 2).from->trial == 4);
}

TEST_CASE("references can vary, to other experiments and to none") {
  const Files files;
  files.write("other.toml", "name = \"other\"\n" + kBase + "[seeds]\ninit = 9\n");
  const auto tune = files.tune(kFrom,
                               "[[variations]]\nmodel.from = [{ experiment = "
                               "\"other.toml\" }, { experiment = \"pretrain.toml\" }, \"\"]\n");
  CHECK(tune.others().size() == 2);
  CHECK(tune.trial(0, 0).from->other != tune.trial(1, 0).from->other);
  CHECK_FALSE(tune.trial(2, 0).from);
  CHECK(tune.trial(2, 0).id == declared(kBase).trial(0, 0).id);
}

TEST_CASE("what makes a trial says the state; the text of the reference does not matter") {
  const Files files;
  const auto tune = files.tune(kFrom);
  const auto trial = tune.trial(0, 0);
  CHECK(tune.ingredients(trial).at("model.from, the state that it begins with") ==
        trial.from->state.hex());
  CHECK_FALSE(tune.matters(trial, "model.from"));
  CHECK(tune.matters(trial, "seeds.init"));
}

TEST_CASE("people read the other experiment's name, and what is said of it") {
  const Files files;
  const auto label = [&](const std::string& reference) {
    return files
        .tune("\"\"", "[[interventions]]\nset.model.from = { experiment = \"pretrain.toml\"" +
                          reference + " }\n")
        .label(1);
  };
  CHECK(label("") == "model.from=pretrain");
  CHECK(label(", at = 3, select = { seeds.init = 1, optimizer.lr = 0.1 }") ==
        "model.from=pretrain(at step 3, optimizer.lr=0.1, seeds.init=1)");
  CHECK(label(", at = { epochs = 2 }") == "model.from=pretrain(after 2 epochs)");
}

TEST_CASE("an assignment takes what it begins with to another process") {
  const Files files;
  auto assignment = files.tune(kFrom).assignment(0);
  REQUIRE(assignment.from);
  CHECK(assignment.from->state == assignment.trial.from->state);
  assignment.from->blob = sha256("blob");
  assignment.refused = "not today";
  const auto there = assignment_from_json(to_json(assignment));
  REQUIRE(there.from);
  CHECK(there.from->state == assignment.from->state);
  CHECK(there.from->step == 30);
  CHECK(there.from->blob == assignment.from->blob);
  CHECK(there.from->start == assignment.from->start);
  CHECK(there.refused == "not today");
}

TEST_CASE("what is not there is said, with what there is") {
  const Files files;
  const auto none = files.wrong(tuned(kFrom, "[seeds]\ninit = 7\n"));
  CHECK(has(none, "wrong.toml:5:1"));
  CHECK(has(none, "no variation of \"pretrain\" has seeds.init=7 optimizer.lr=0.1"));
  CHECK(has(none, "seeds.init: 0, 1, 2 (nearest to 7: 2); optimizer.lr: 0.1, 0.01"));
  const auto selecting = [&](const std::string& select) {
    return files.wrong(tuned("{ experiment = \"pretrain.toml\", select = " + select + " }"));
  };
  CHECK(has(selecting("{ seeds.shuffle = 3 }"), "all of them have seeds.shuffle=0"));
  CHECK(has(selecting("{ seeds.innit = 3 }"), "did you mean \"seeds.init\"?"));
  CHECK(has(files.wrong(tuned("{ experiment = \"nowhere.toml\" }")),
            "there is no experiment \"nowhere.toml\""));
}

TEST_CASE("what is wrong with the other file is said at its own place") {
  const Files files;
  files.write("pretrain.toml", "name = \"pretrain\"\n" + kBase + "nonsense = 1\n");
  CHECK(has(files.wrong(tuned(kFrom)), "pretrain.toml:14:1: error: unknown key"));
}

TEST_CASE("circles, long ways and names that are taken are refused") {
  const Files files;
  files.write("a.toml", tuned("{ experiment = \"b.toml\" }"));
  files.write("b.toml", tuned("{ experiment = \"a.toml\" }"));
  try {
    files.read("a.toml");
    FAIL("a circle was read");
  } catch (const InvalidExperiment& error) {
    CHECK(has(error.what(), "b.toml:5:1: error: a.toml goes on from itself"));
    CHECK(has(error.what(), "a.toml -> b.toml -> a.toml"));
  }
  CHECK(has(files.wrong(tuned("{ experiment = \"wrong.toml\" }")), "goes on from itself"));

  files.write("way0.toml", "name = \"way0\"\n" + kBase);
  const auto step = [&](int i) {
    auto text = tuned("{ experiment = \"way" + std::to_string(i - 1) + ".toml\" }");
    text.replace(text.find("\"tune\""), 6, "\"way" + std::to_string(i) + "\"");
    return text;
  };
  for (int i = 1; i < 9; ++i) files.write("way" + std::to_string(i) + ".toml", step(i));
  CHECK(files.read("way8.toml").trial(0, 0).from);
  CHECK(has(files.wrong(step(9)), "more than 8 experiments go on from each other"));

  files.write("pretrain.toml", "name = \"tune\"\n" + kBase);
  CHECK(has(files.wrong(tuned(kFrom)), "both called \"tune\""));
}

TEST_CASE("a model cannot begin with what another kind of network was trained to") {
  const Files files;
  auto mlp = tuned(kFrom);
  mlp.replace(mlp.find("\"lenet5\""), 8, "\"mlp\"");
  CHECK(has(files.wrong(mlp), "model \"mlp\" cannot begin with what \"pretrain\" trained"));
}

TEST_CASE("overrides are of the file that is named, not of those that it goes on from") {
  const Files files;
  files.write("tune.toml", tuned(kFrom));
  const auto tune = files.read("tune.toml", {"train.epochs=1", "optimizer.momentum=0.5"});
  CHECK(tune.trial(0, 0).from->step == 30);
  CHECK(tune.trial(0, 0).from->state == files.read("pretrain.toml").trial(0).state(30));
}
