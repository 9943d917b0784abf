#include "perturb/execute/worker.h"

#include <algorithm>
#include <fstream>
#include <unistd.h>

#include <doctest/doctest.h>
#include <fmt/format.h>

#include "perturb/core/error.h"
#include "perturb/core/files.h"

namespace {

using namespace perturb;
namespace fs = std::filesystem;

struct Folder {
  fs::path path;
  Folder() {
    std::string name = (fs::temp_directory_path() / "perturb-worker-XXXXXX").string();
    REQUIRE(::mkdtemp(name.data()) != nullptr);
    path = name;
    fs::create_directory(path / "records");
  }
  Folder(const Folder&) = delete;
  Folder& operator=(const Folder&) = delete;
  ~Folder() { fs::remove_all(path); }

  StageFile stage(const std::string& name, const std::string& text) const {
    std::ofstream(path / (name + ".json")) << text;
    return {.assignment = path / (name + ".json"), .records = path / "records"};
  }
  std::vector<std::string> records() const {
    std::vector<std::string> names;
    for (const auto& entry : fs::directory_iterator(path / "records"))
      names.push_back(entry.path().filename().string());
    std::sort(names.begin(), names.end());
    return names;
  }
  Record record(const std::string& name) const {
    return record_from_json(read_file(path / "records" / name, 1 << 20));
  }
};

Assignment some_assignment() {
  Assignment assignment;
  assignment.trial.timeline.stretches.emplace_back();
  assignment.trial.id = sha256("a trial");
  assignment.begin = 3;
  assignment.end = 8;
  return assignment;
}

Record at_step(std::int64_t step) { return {.outcome = Outcome::Done, .step = step}; }

}  // namespace

TEST_CASE("a worker leaves the records of a stage in order, the last one named as such") {
  const Folder folder;
  Progress progress;
  Assignment seen;
  const Carry carry = [&](const Assignment& assignment, Progress& given, const auto& report) {
    CHECK(&given == &progress);
    seen = assignment;
    CHECK(folder.records().empty());
    report(at_step(4));
    // Each is there once it was reported, whatever happens then.
    CHECK(folder.records() == std::vector<std::string>{"7-0.0.json"});
    report(at_step(6));
    return at_step(8);
  };
  work_on(folder.stage("7-0", to_json(some_assignment())), carry, progress);
  CHECK(seen.trial.id == some_assignment().trial.id);
  CHECK(seen.begin == 3);
  CHECK(seen.end == 8);
  REQUIRE(folder.records() ==
          std::vector<std::string>{"7-0.0.json", "7-0.1.json", "7-0.2.last.json"});
  CHECK(folder.record("7-0.0.json").step == 4);
  CHECK(folder.record("7-0.1.json").step == 6);
  CHECK(folder.record("7-0.2.last.json").step == 8);
}

TEST_CASE("what is no assignment is an error, and leaves no record") {
  const Folder folder;
  Progress progress;
  const Carry carry = [](const Assignment&, Progress&, const auto&) {
    FAIL_CHECK("carried out");
    return Record{};
  };
  const std::string whole = to_json(some_assignment());
  for (const std::string& text :
       {std::string(), std::string("{}"), std::string("[1, 2"), whole.substr(0, whole.size() / 2)})
    CHECK_THROWS_AS(work_on(folder.stage("0-0", text), carry, progress), Error);
  CHECK_THROWS_AS(
      work_on({.assignment = folder.path / "none.json", .records = folder.path}, carry, progress),
      Error);
  CHECK(folder.records().empty());
}

TEST_CASE("a record that cannot be written is an error and leaves no gap in the numbers") {
  const Folder folder;
  const fs::path records = folder.path / "records";
  Progress progress;
  const Carry carry = [&](const Assignment&, Progress&, const auto& report) {
    fs::rename(records, folder.path / "away");
    CHECK_THROWS_AS(report(at_step(4)), Error);
    fs::rename(folder.path / "away", records);
    report(at_step(5));
    return at_step(8);
  };
  work_on(folder.stage("0-0", to_json(some_assignment())), carry, progress);
  REQUIRE(folder.records() == std::vector<std::string>{"0-0.0.json", "0-0.1.last.json"});
  CHECK(folder.record("0-0.0.json").step == 5);
}
