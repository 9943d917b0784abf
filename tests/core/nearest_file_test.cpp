// The file that was probably meant by a name that is none.
#include "perturb/core/nearest_file.h"

#include <filesystem>
#include <fstream>

#include <doctest/doctest.h>

#include "temporary_folder.h"

using namespace perturb;
namespace fs = std::filesystem;

namespace {

/// A folder with these files in it, all empty.
class Folder {
 public:
  explicit Folder(std::initializer_list<const char*> names) {
    for (const char* name : names) std::ofstream(folder_.path() / name);
  }
  fs::path operator/(const fs::path& name) const { return folder_.path() / name; }
  fs::path nearest(const fs::path& name) const {
    return nearest_file(folder_.path() / name, ".toml");
  }

 private:
  TemporaryFolder folder_;
};

}  // namespace

TEST_CASE("the nearest file stands in the folder that was named") {
  const Folder folder({"pretrain.toml", "momentum.toml"});
  CHECK(folder.nearest("pretrian.toml") == folder / "pretrain.toml");
  CHECK(folder.nearest("momentun.toml") == folder / "momentum.toml");
}

TEST_CASE("the extension may be missing, or misspelt") {
  const Folder folder({"pretrain.toml"});
  CHECK(folder.nearest("pretrain") == folder / "pretrain.toml");
  CHECK(folder.nearest("pretrain.tom") == folder / "pretrain.toml");
}

TEST_CASE("other kinds of files, folders and names far away are not meant") {
  const Folder folder({"pretrain.txt", "sweep.toml"});
  fs::create_directory(folder / "pretrainn.toml");
  CHECK(folder.nearest("pretrain.toml").empty());
}

TEST_CASE("of two equally near names it is always the same one") {
  for (const auto names : {std::initializer_list<const char*>{"tuna.toml", "tunb.toml"},
                           std::initializer_list<const char*>{"tunb.toml", "tuna.toml"}}) {
    const Folder folder(names);
    CHECK(folder.nearest("tune.toml") == folder / "tuna.toml");
  }
}

TEST_CASE("where there is no folder nothing is near") {
  const Folder folder({});
  CHECK(folder.nearest("absent/tune.toml").empty());
}
