// Replicates of an experiment that goes on from another begin with networks of their own, or
// somebody says that they do not.
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

const std::string kFrom = "{ experiment = \"pretrain.toml\" }";

/// The base with `model` as the rest of its model.
std::string base(const std::string& model) {
  auto text = kBase;
  return text.replace(text.find("kind = \"lenet5\""), 15, "kind = \"lenet5\"\n" + model);
}

/// What is warned of an experiment with these variations that goes on from one with those.
class Pair {
 public:
  explicit Pair(const std::string& pretrain) { write("pretrain", kBase + pretrain); }

  void write(const std::string& name, const std::string& text) const {
    std::ofstream(folder_.path() / (name + ".toml"), std::ios::binary) << text;
  }
  std::vector<Diagnostic> warnings(const std::string& variations,
                                   const std::string& model = "from = " + kFrom,
                                   const std::vector<std::string>& overrides = {}) const {
    write("tune", base(model) + variations);
    const auto file = folder_.path() / "tune.toml";
    Ancestry ancestry(file, [](const fs::path& other, const ExperimentLookup& others) {
      return Experiment::load(other, {}, test_schema(), test_data, others);
    });
    return Experiment::load(file, overrides, test_schema(), test_data, ancestry.lookup())
        .warnings();
  }

 private:
  TemporaryFolder folder_;
};

std::string variations(const std::string& keys) { return "[[variations]]\n" + keys + "\n"; }

}  // namespace

TEST_CASE("seeds that vary here alone begin with one network, which is said at their level") {
  const Pair pair("");
  const auto said = pair.warnings(variations("optimizer.lr = [0.1, 0.2]\nseeds.init = [3, 4]"));
  REQUIRE(said.size() == 1);
  CHECK(said[0].warning);
  CHECK(said[0].message ==
        "the levels of seeds.init begin with one and the same network: \"pretrain\" does not vary "
        "it");
  CHECK(said[0].advice.starts_with("vary seeds.init there too"));
  const std::string& text = said[0].place.source->text;
  std::size_t at = 0;
  for (std::size_t line = 1; line < said[0].place.line; ++line) at = text.find('\n', at) + 1;
  CHECK(text.substr(at, 10) == "seeds.init");
  CHECK(text.substr(at + said[0].place.column - 1, 1) == "3");
}

TEST_CASE("seeds that vary there too, or have one level, begin with networks of their own") {
  CHECK(
      Pair(variations("seeds.init = [3, 4]")).warnings(variations("seeds.init = [3, 4]")).empty());
  CHECK(Pair("").warnings(variations("seeds.init = [3]")).empty());
  CHECK(Pair("").warnings(variations("seeds.shuffle = [3, 4]")).empty());
  CHECK(Pair("").warnings(variations("seeds.init = [3, 4]"), "").empty());
}

TEST_CASE("what varies there beside the seed does not help, unless it changes with the seed") {
  const Pair pair(variations("optimizer.lr = [0.1, 0.2]"));
  CHECK(pair.warnings(variations("optimizer.lr = [0.1, 0.2]\nseeds.init = [3, 4]")).size() == 1);
  CHECK(pair.warnings(variations("zip = true\noptimizer.lr = [0.1, 0.2]\nseeds.init = [3, 4]"))
            .empty());
}

TEST_CASE("seeds that come with references of their own are told by reference") {
  const Pair pair("");
  pair.write("other", "name = \"other\"\n" + kBase);
  const std::string two = "[" + kFrom + ", { experiment = \"other.toml\" }]";
  CHECK(pair.warnings(variations("zip = true\nmodel.from = " + two + "\nseeds.init = [3, 4]"), "")
            .empty());
  CHECK(pair.warnings(variations("model.from = " + two + "\nseeds.init = [3, 4]"), "").size() == 2);
}

TEST_CASE("an override that makes the seed vary is warned of, too") {
  const Pair pair("");
  CHECK(pair.warnings("", "from = " + kFrom, {"seeds.init=3,4"}).size() == 1);
}
