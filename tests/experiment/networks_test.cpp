// Data that are another experiment's trained networks: which trials they are, how many are known
// before any is trained, and what identity takes of them.
#include <filesystem>
#include <fstream>
#include <string>

#include <doctest/doctest.h>

#include "experiment/declared.h"
#include "perturb/catalog/data_files.h"
#include "perturb/experiment/ancestry.h"
#include "temporary_folder.h"

using namespace perturb;
namespace fs = std::filesystem;

namespace {

/// 30 steps; variations are (seed, rate).
const std::string kPopulation = R"(
name = "population"
[model]
kind = "mlp"
hidden = [4]
[data]
kind = "gaussian-blobs"
examples = 640
batch_size = 64
[optimizer]
kind = "sgd"
lr = 0.1
[train]
epochs = 3
[[variations]]
seeds.init = [0, 1, 2, 3, 4]
optimizer.lr = [0.1, 0.01]
[[interventions]]
set.optimizer.momentum = 0.5
)";

/// Learns from them; `more` goes on in [data].
std::string learner(const std::string& more = "", const std::string& after = "") {
  return R"(
name = "learner"
[model]
kind = "mlp"
hidden = [4]
[data]
kind = "weights"
experiment = "population.toml"
held_out = 0.3
)" + more +
         "\n[optimizer]\nkind = \"sgd\"\n" + after;
}

/// Experiment files in a folder of their own, with the real data sets.
class Files {
 public:
  Files() { write("population.toml", kPopulation); }

  void write(const std::string& name, const std::string& text) const {
    std::ofstream(folder_.path() / name, std::ios::binary) << text;
  }
  Experiment read(const std::string& name) const {
    const auto lookup = [](const Condition& condition) { return facts(condition, {}); };
    const auto file = folder_.path() / name;
    Ancestry ancestry(file, [&](const fs::path& other, const ExperimentLookup& others) {
      return Experiment::load(other, {}, test_schema(), lookup, others);
    });
    return Experiment::load(file, {}, test_schema(), lookup, ancestry.lookup());
  }
  Experiment learn(const std::string& more = "", const std::string& after = "") const {
    write("learner.toml", learner(more, after));
    return read("learner.toml");
  }
  /// All that is wrong with a learner; empty when nothing is.
  std::string wrong(const std::string& more, const std::string& after = "") const {
    try {
      learn(more, after);
    } catch (const Error& error) {
      return error.what() + error.advice();
    }
    return {};
  }
  Digest id(const std::string& more = "") const { return learn(more).trial(0).id; }

 private:
  TemporaryFolder folder_;
};

/// The variations there that the examples are.
std::vector<std::size_t> chosen(const Experiment& experiment, const Experiment& population) {
  std::vector<std::size_t> all;
  for (const auto& network : *experiment.trial(0).networks)
    all.push_back(population.variation_of(network.trial));
  return all;
}

bool has(const std::string& text, const std::string& words) {
  return text.find(words) != std::string::npos;
}

using Variations = std::vector<std::size_t>;

}  // namespace

TEST_CASE("the examples are controls at their ends, in the order of the variations there") {
  const Files files;
  const auto population = files.read("population.toml");
  const auto learner = files.learn();
  const auto trial = learner.trial(0);
  REQUIRE(trial.networks);
  REQUIRE(trial.networks->size() == 10);
  for (std::size_t v = 0; v < 10; ++v) {
    const auto& network = (*trial.networks)[v];
    CHECK(network.trial == 2 * v);  // an intervention lies between
    CHECK(network.step == 30);
    CHECK(network.state == population.trial(network.trial).state(30));
  }
  CHECK(trial.inherited().size() == 10);
  CHECK_FALSE(population.trial(0).networks);
}

TEST_CASE("how many there are is known without training") {
  const Files files;
  const auto learner = files.learn("batch_size = 2");
  const auto& known = learner.data(learner.trial(0));
  CHECK(known.train == 7);
  CHECK(known.test == 3);
  CHECK(learner.end(learner.trial(0)) == 10 * 4);
}

TEST_CASE("a selection leaves those with a value, or with one of a list; the rest varies") {
  const Files files;
  const auto population = files.read("population.toml");
  const auto left = [&](const std::string& select) {
    return chosen(files.learn("select = " + select), population);
  };
  CHECK(left("{ optimizer.lr = 0.01 }") == Variations{1, 3, 5, 7, 9});
  CHECK(left("{ seeds.init = [3, 1, 0], optimizer.lr = 0.1 }") == Variations{0, 2, 6});
  CHECK(left("{ seeds.init = [0, 2], data.batch_size = 64 }") == Variations{0, 1, 4, 5});
}

TEST_CASE("a list can be one value") {
  const Files files;
  auto text = kPopulation;
  text.replace(text.find("optimizer.lr = ["), 26, "model.hidden = { each = [[4, 4], [8, 8]] }");
  files.write("population.toml", text);
  const auto population = files.read("population.toml");
  CHECK(chosen(files.learn("select = { model.hidden = [8, 8] }"), population) ==
        Variations{1, 3, 5, 7, 9});
}

TEST_CASE("at says when") {
  const Files files;
  const auto step = [&](const std::string& at) {
    return files.learn("at = " + at).trial(0).networks->front().step;
  };
  CHECK(step("\"end\"") == 30);
  CHECK(step("7") == 7);
  CHECK(step("{ epochs = 2 }") == 20);
  CHECK(has(files.wrong("at = 31"), "trial 0 of \"population\" has no step 31"));
  CHECK(has(files.wrong("at = \"late\""), "must be \"end\", a step, or { epochs = n }"));
}

TEST_CASE(
    "identity is the networks, in their order: not the file, its name, or how they are named") {
  const Files files;
  const auto id = files.id();
  CHECK(files.id("at = { epochs = 3 }") == id);
  CHECK(files.id("select = { seeds.init = [0, 1, 2, 3, 4] }") == id);
  CHECK(files.id("at = 20") != id);
  CHECK(files.id("select = { seeds.init = [0, 1, 2, 3] }") != id);
  CHECK(files.id("split_seed = 1") != id);

  // Longer than asked is the same; named otherwise, too.
  auto text = kPopulation;
  text.replace(text.find("epochs = 3"), 10, "epochs = 9");
  text.replace(text.find("\"population\""), 12, "\"otherwise\"");
  files.write("population.toml", text);
  CHECK(files.id("at = 30") == id);
  CHECK(files.id() != id);
  text = kPopulation;
  text.replace(text.find("batch_size = 64"), 15, "batch_size = 32");
  files.write("population.toml", text);
  CHECK(files.id("at = 30") != id);
}

TEST_CASE("the order of the networks is part of what they are") {
  const Files files;
  const auto id = files.id();
  auto text = kPopulation;
  text.replace(text.find("[0, 1, 2, 3, 4]"), 15, "[4, 3, 2, 1, 0]");
  files.write("population.toml", text);
  CHECK(files.id() != id);
}

TEST_CASE("variations and interventions may have other networks") {
  const Files files;
  const auto learner = files.learn(
      "",
      "[[variations]]\ndata.select = [{ seeds.init = [0, 1] }, { seeds.init = [0, 1, 2] }]\n"
      "[[interventions]]\nset.data.at = 10\n");
  CHECK(learner.trial(0, 0).networks->size() == 4);
  CHECK(learner.trial(1, 0).networks->size() == 6);
  CHECK(learner.trial(0, 1).networks->front().step == 10);
  CHECK(learner.data(learner.trial(1, 0)).train == 4);
}

TEST_CASE("the assignment says which networks, and survives being written") {
  const Files files;
  const auto learner = files.learn();
  auto assignment = learner.assignment(0);
  REQUIRE(assignment.population);
  CHECK(assignment.population->start.text("data.kind") == "gaussian-blobs");
  assignment.population->networks[3].blob = sha256("blob");
  const auto back = assignment_from_json(to_json(assignment));
  REQUIRE(back.population);
  REQUIRE(back.population->networks.size() == 10);
  CHECK(back.population->networks[3].blob == sha256("blob"));
  CHECK_FALSE(back.population->networks[4].blob);
  CHECK(back.population->networks[4].state == (*learner.trial(0).networks)[4].state);
  CHECK(back.population->start == assignment.population->start);
}

TEST_CASE("what is wrong with a selection is said where it stands") {
  const Files files;
  CHECK(has(files.wrong("select = { seeds.init = 7 }"),
            "no trial of \"population\" has seeds.init=7"));
  CHECK(has(files.wrong("select = { seeds.init = [1, 7] }"), "nearest to 7: 4"));
  CHECK(has(files.wrong("select = { seeds.inti = 0 }"), "is no field of the trials"));
  CHECK(has(files.wrong("select = { train.epochs = 2 }"), "no trial of \"population\""));
  CHECK(has(files.wrong("", "[[interventions]]\nset.data.select = { seeds.init = 9 }\n"),
            "no trial of \"population\" has seeds.init=9"));
  files.write("population.toml", learner());
  CHECK(has(files.wrong(""), "goes on from itself"));
}

TEST_CASE("networks of one data set are made alike") {
  const Files files;
  files.write("population.toml",
              kPopulation + "[[variations]]\nmodel.hidden = { each = [[4], [8]] }\n");
  CHECK(has(files.wrong(""), "networks of \"population\" differ in model.hidden: [4] and [8]"));
  CHECK(files.wrong("select = { model.hidden = [4] }").empty());
  // How they were initialised is no difference.
  files.write("population.toml",
              kPopulation + "[[variations]]\nmodel.init = [\"he\", \"xavier\"]\n");
  CHECK(files.wrong("").empty());
}

TEST_CASE("who learns from networks is no network to learn from") {
  const Files files;
  files.write("between.toml", "name = \"between\"\n" + learner().substr(18));
  auto text = learner();
  text.replace(text.find("population.toml"), 15, "between.toml");
  files.write("learner.toml", text);
  try {
    files.read("learner.toml");
    FAIL("it was accepted");
  } catch (const Error& error) {
    CHECK(has(error.what(), "what \"between\" trained learnt from networks itself"));
  }
}

namespace {

/// Learns to generate them.
const std::string kFlow = R"(
name = "flow"
[task]
kind = "flow-matching"
[model]
kind = "flow"
hidden_width = 8
[data]
kind = "weights"
experiment = "population.toml"
select = { optimizer.lr = 0.1 }
held_out = 0.4
[optimizer]
kind = "adamw"
[train]
epochs = 2
)";

/// Begins with one that was generated; `more` goes on in the reference.
std::string begun(const std::string& more = ", generated = true",
                  const std::string& after = "[[variations]]\nseeds.init = [0, 1]\n") {
  return R"(
name = "begun"
[model]
kind = "mlp"
hidden = [4]
from = { experiment = "flow.toml")" +
         more + R"( }
[data]
kind = "gaussian-blobs"
[optimizer]
kind = "sgd"
)" + after;
}

}  // namespace

TEST_CASE("a trial begins with the generated network that its seed says") {
  const Files files;
  files.write("flow.toml", kFlow);
  files.write("begun.toml", begun());
  const auto begun = files.read("begun.toml");
  const auto flow = files.read("flow.toml");
  REQUIRE(begun.others().size() == 2);
  CHECK(begun.others()[0].experiment->name() == "flow");
  CHECK(begun.others()[1].experiment->name() == "population");
  std::vector<Digest> identities;
  for (std::size_t v = 0; v < 2; ++v) {
    const auto trial = begun.trial(v, 0);
    REQUIRE(trial.from);
    CHECK(trial.from->other == 0);
    CHECK(trial.from->state == flow.trial(0).state(2));
    CHECK(trial.from->generated == static_cast<std::int64_t>(v));
    identities.push_back(trial.from->identity());
    CHECK(identities.back() != trial.from->state);
    REQUIRE(trial.from->learnt_from);
    // Of the population, as this experiment has it among its others.
    CHECK(trial.from->learnt_from == begun.trial(0, 0).from->learnt_from);
    REQUIRE(trial.from->learnt_from->size() == 5);
    for (std::size_t i = 0; i < 5; ++i) {
      const auto& network = (*trial.from->learnt_from)[i];
      CHECK(network.other == 1);
      CHECK(network.state == (*flow.trial(0).networks)[i].state);
    }
    CHECK(trial.inherited().size() == 6);
    CHECK(begun.ingredients(trial).at("model.from, the state that it begins with") ==
          identities.back().hex());
  }
  CHECK(identities[0] != identities[1]);
  CHECK(begun.warnings().empty());
  const Value reference = begun.condition(0).at("model.from");
  CHECK(begun.shown(reference) == "flow(generated)");
  CHECK(begun.shown(Value("flow.toml")) == "flow.toml");
}

TEST_CASE("an assignment takes what generating needs to another process") {
  const Files files;
  files.write("flow.toml", kFlow);
  files.write("begun.toml", begun());
  const auto assignment = assignment_from_json(to_json(files.read("begun.toml").assignment(1)));
  REQUIRE(assignment.from);
  CHECK(assignment.from->generated == 1);
  CHECK(assignment.from->start.text("task.kind") == "flow-matching");
  CHECK(assignment.from->learnt_from.networks.size() == 5);
  CHECK(assignment.from->learnt_from.start.text("model.kind") == "mlp");
}

TEST_CASE("what generates nothing, or something else, is said") {
  const Files files;
  const auto wrong = [&](const std::string& text) -> std::string {
    files.write("begun.toml", text);
    try {
      files.read("begun.toml");
    } catch (const Error& error) {
      return error.what() + error.advice();
    }
    return {};
  };
  files.write("flow.toml", kFlow);
  CHECK(wrong(begun(", generated = false")).find("with generated = true it begins with") !=
        std::string::npos);
  CHECK(wrong(begun(", generated = 3")).find("\"model.from.generated\" cannot be an integer") !=
        std::string::npos);
  auto deeper = begun();
  deeper.replace(deeper.find("[4]"), 3, "[4, 4]");
  CHECK(wrong(deeper).find("cannot begin with what \"flow\" generates: its mlp has no") !=
        std::string::npos);
  auto itself = begun();
  itself.replace(itself.find("flow.toml"), 9, "population.toml");
  CHECK(wrong(itself).find("what \"population\" trained generates no networks") !=
        std::string::npos);
}
