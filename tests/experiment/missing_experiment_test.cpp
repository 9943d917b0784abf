// What is said of a reference to an experiment that is not there.
#include "experiment/missing_experiment.h"

#include <filesystem>
#include <fstream>

#include <doctest/doctest.h>

#include "temporary_folder.h"

using namespace perturb;

TEST_CASE("a misspelt reference is answered with the nearest name, as it would be written") {
  const TemporaryFolder folder;
  std::filesystem::create_directory(folder.path() / "first");
  std::ofstream(folder.path() / "first" / "pretrain.toml");
  CHECK(advice_on_missing("first/pretrian.toml", folder.path()) ==
        "did you mean \"first/pretrain.toml\"?");
  const auto whole = (folder.path() / "first" / "pretrian.toml").string();
  CHECK(advice_on_missing(whole, "/elsewhere") ==
        "did you mean \"" + (folder.path() / "first" / "pretrain.toml").string() + "\"?");
  CHECK(advice_on_missing("pretrian.toml", folder.path()) ==
        "the name is relative to the folder of this file");
}
