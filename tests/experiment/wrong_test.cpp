// The corpus of wrong experiment files: each is refused with an error that names its place.
// What is said is kept beside each file; PERTURB_ACCEPT=1 takes over what is said now.
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <set>
#include <sstream>

#include <doctest/doctest.h>

#include "experiment/declared.h"

using namespace perturb;
namespace fs = std::filesystem;

namespace {

std::string bytes_of(const fs::path& file) {
  std::ifstream in(file, std::ios::binary);
  std::ostringstream out;
  out << in.rdbuf();
  return out.str();
}

/// "# overrides: a=b c=d" on the first line.
std::vector<std::string> overrides_in(const std::string& text) {
  const std::string mark = "# overrides:";
  if (!text.starts_with(mark)) return {};
  std::istringstream line(text.substr(mark.size(), text.find('\n') - mark.size()));
  std::vector<std::string> out;
  for (std::string word; line >> word;) out.push_back(word);
  return out;
}

/// What is said of a text, each diagnostic with its place.
std::string said(const Source& source, const std::vector<std::string>& overrides) {
  try {
    Experiment::parse(source, "/nowhere", overrides, test_schema(), test_data);
  } catch (const InvalidExperiment& error) {
    CHECK(error.code() == ExitCode::Usage);
    CHECK_FALSE(error.diagnostics().empty());
    for (const auto& d : error.diagnostics()) {
      CHECK(d.place.source != nullptr);
      CHECK_FALSE(d.message.empty());
      CHECK_FALSE(d.warning);
    }
    return error.what();
  }
  return "nothing is wrong\n";
}

std::string refusal(const std::string& text) { return said({"test.toml", text}, {}); }

}  // namespace

TEST_CASE("every wrong file is refused in the words kept beside it") {
  const fs::path folder = "tests/experiment/wrong";
  std::set<fs::path> files;
  for (const auto& entry : fs::directory_iterator(folder)) {
    if (entry.path().extension() == ".toml") files.insert(entry.path());
  }
  CHECK(files.size() >= 60);
  for (const auto& file : files) {
    const auto text = bytes_of(file);
    const auto now = said({file.filename().string(), text}, overrides_in(text));
    auto kept = file;
    kept.replace_extension(".txt");
    if (std::getenv("PERTURB_ACCEPT")) std::ofstream(kept, std::ios::binary) << now;
    INFO(file.string());
    CHECK(now != "nothing is wrong\n");
    CHECK(now == bytes_of(kept));
  }
}

TEST_CASE("texts too large or too deep are refused before they are parsed") {
  CHECK(refusal(std::string(100'000'000, '#')).find("more than 1048576 bytes") !=
        std::string::npos);
  std::string dotted = "a";
  for (int i = 0; i < 100'000; ++i) dotted += ".a";
  for (const auto& bomb : {
           dotted + " = 1",
           "[" + dotted + "]",
           "x = " + std::string(100'000, '['),
           "x = " + std::string(50'000, '[') + std::string(50'000, ']'),
           "x = { " + dotted + " = 1 }",
       }) {
    CHECK(refusal(bomb).find("levels of nesting") != std::string::npos);
  }
  // Dots and brackets inside strings and comments are text.
  const std::string dots(500, '.');
  CHECK(wrong_with("description = \"" + dots + "[[[[\"\n# " + dots + std::string(100, '[') + "\n" +
                   kBase)
            .empty());
}

TEST_CASE("any single byte changed or cut from a good file is refused or read, never a crash") {
  const std::string good = kBase + R"([[variations]]
seeds.init = { range = [0, 3] }
any_of = [{ optimizer.lr = [0.1] }, { optimizer.kind = "adam", optimizer.lr = 0.01 }]
[[interventions]]
set.optimizer.lr = { scale = [1.1] }
when = [[0, 10], [20, 30]]
[[metrics]]
kind = "weight-norm"
every = [0, 5]
)";
  REQUIRE(wrong_with(good).empty());
  for (std::size_t i = 0; i < good.size(); ++i) {
    wrong_with(good.substr(0, i));
    for (const char c : {'\0', '"', '[', '}', '9', '\xff', '\n', '-'}) {
      auto changed = good;
      changed[i] = c;
      wrong_with(changed);
    }
  }
}
