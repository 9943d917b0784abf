#include "perturb/experiment/slurm_settings.h"

#include <fstream>

#include <doctest/doctest.h>

#include "temporary_folder.h"

namespace {

using namespace perturb;

std::string wrong(const std::string& text) {
  try {
    slurm_settings_of({"x.toml", text});
    return {};
  } catch (const InvalidExperiment& error) {
    return error.what();
  }
}

bool has(const std::string& text, const std::string& part) {
  return text.find(part) != std::string::npos;
}

}  // namespace

TEST_CASE("settings are what is said, typed; the rest of the file is nobody's here") {
  const auto settings = slurm_settings_of(
      {"x.toml",
       "name = \"x\"\n[slurm]\npartition = \"gpu\"\npoll = 5\nlines = [\"-x a\", \"-x b\"]\n"});
  CHECK(settings.size() == 3);
  CHECK(settings.at("partition").as_string() == "gpu");
  CHECK(settings.at("poll").as_float() == 5.0);
  CHECK(settings.at("lines").as_list().size() == 2);
  CHECK(slurm_settings_of({"x.toml", "name = \"x\"\n"}).empty());
}

TEST_CASE("every setting has a default of its own type and range, and says what it is") {
  for (const Parameter& parameter : slurm_parameters()) {
    INFO(parameter.name);
    REQUIRE(parameter.fallback);
    CHECK_FALSE(parameter.help.empty());
    const Value& value = *parameter.fallback;
    if (parameter.type == Type::Int) CHECK(value.is_int());
    if (parameter.type == Type::Float) CHECK(value.is_float());
    if (parameter.type == Type::String) CHECK(value.is_string());
    if (parameter.type == Type::StringList) CHECK(value.is_list());
    if (!value.is_number()) continue;
    CHECK(value.as_float() >= parameter.least);
    CHECK(value.as_float() <= parameter.most);
  }
}

TEST_CASE("what is wrong is said with its place, all of it at once") {
  const std::string said = wrong("[slurm]\npartiton = \"gpu\"\ncpus = 0\ntime = 5\n");
  CHECK(has(said, "x.toml:2:1"));
  CHECK(has(said, "unknown key \"slurm.partiton\""));
  CHECK(has(said, "did you mean \"partition\"?"));
  CHECK(has(said, "\"slurm.cpus\""));
  CHECK(has(said, "\"slurm.time\" must be"));
  CHECK(has(wrong("slurm = 3\n"), "must be a table"));
}

TEST_CASE("nothing that is said begins a second line of a script") {
  CHECK(has(wrong("[slurm]\npartition = \"a\\nrm -r /\"\n"), "control character"));
  CHECK(has(wrong("[slurm]\nsetup = [\"a\", \"b\\rc\"]\n"), "control character"));
  CHECK(wrong("[slurm]\nsetup = [\"a; b | c\"]\n").empty());
}

TEST_CASE("a file of the site has the same keys at its top") {
  const TemporaryFolder folder;
  const auto file = folder.path() / "slurm.toml";
  std::ofstream(file) << "account = \"me\"\n";
  CHECK(read_slurm_settings(file).at("account").as_string() == "me");
  std::ofstream(file) << "acount = \"me\"\n";
  CHECK_THROWS_AS(read_slurm_settings(file), InvalidExperiment);
  CHECK_THROWS_AS(read_slurm_settings(folder.path() / "none"), Error);
}
