#include "execute/slurm_batch.h"

#include <fstream>

#include <doctest/doctest.h>

#include "perturb/core/files.h"
#include "temporary_folder.h"

namespace {

using namespace perturb;
namespace fs = std::filesystem;

void write(const fs::path& path, std::string_view text) { std::ofstream(path) << text; }

Record some_record() {
  return {.trial = sha256("trial"),
          .outcome = Outcome::Done,
          .step = 8,
          .message = "two\nlines",
          .seconds = 1.5,
          .trained = 5,
          .measured = {{.step = 8, .state = sha256("state"), .metric = sha256("m"), .value = 0.5}},
          .saved = {{.step = 8, .state = sha256("state"), .blob = sha256("blob"), .bytes = 4}}};
}

}  // namespace

TEST_CASE("half a file, a changed one and none at all are no sealed text") {
  const TemporaryFolder folder;
  const fs::path file = folder.path() / "file";
  const std::string text = sealed("what it says\n");
  write(file, text);
  CHECK(read_sealed(file) == "what it says\n");
  for (std::size_t size = 0; size < text.size(); ++size) {
    write(file, text.substr(0, size));
    CHECK_FALSE(read_sealed(file));
  }
  for (std::size_t at = 0; at < text.size(); ++at) {
    std::string changed = text;
    changed[at] = static_cast<char>(changed[at] ^ 1);
    write(file, changed);
    CHECK_FALSE(read_sealed(file));
  }
  CHECK_FALSE(read_sealed(folder.path() / "nothing"));
  CHECK_FALSE(read_sealed(folder.path()));
}

TEST_CASE("a record's name says whose it is, and nothing else is one") {
  for (const bool last : {false, true}) {
    const RecordName name{{}, 12, "345-0", 6, last};
    const auto back = record_name(file_name(name));
    REQUIRE(back);
    CHECK(back->stage == 12);
    CHECK(back->attempt == "345-0");
    CHECK(back->n == 6);
    CHECK(back->last == last);
  }
  for (const char* other : {"", "12", "12.a.6", "12.a.6.json", "x.a.6.rec", "12..6.rec",
                            "12.a.6.lost.rec", "12.a.6.last.rec.tmp-1-2", "-1.a.6.rec"}) {
    CHECK_FALSE_MESSAGE(record_name(other), other);
  }
}

TEST_CASE("a task's stages come back, with what names the states on their way") {
  const TemporaryFolder folder;
  const BatchFolder batch = make_batch(folder.path());
  TaskStage stage;
  stage.number = 3;
  stage.after = {"other/7"};
  stage.trials = {{sha256("a"), 10}, {sha256("b"), 20}};
  stage.assignment.trial.timeline.stretches.emplace_back();
  stage.assignment.trial.past = {"before\n", {"within"}};
  stage.assignment.end = 10;
  stage.assignment.checkpoint = Digest{};
  TaskStage other = stage;
  other.number = 4;
  write(batch.task(0), sealed(to_text(stage) + to_text(other)));

  const auto back = batch.stages(0);
  REQUIRE(back);
  REQUIRE(back->size() == 2);
  CHECK((*back)[1].number == 4);
  const TaskStage& first = back->front();
  CHECK(first.after == std::vector<std::string>{"other/7"});
  CHECK(first.trials.size() == 2);
  CHECK(first.trials[1].trial == sha256("b"));
  CHECK(first.trials[1].end == 20);
  CHECK(first.assignment.checkpoint == Digest{});
  CHECK(first.assignment.trial.state(5) == stage.assignment.trial.state(5));
  CHECK_FALSE(batch.stages(1));
}

TEST_CASE("records, facts, credits and states come back as they were written") {
  const TemporaryFolder folder;
  const BatchFolder batch = make_batch(folder.path());
  CHECK(batches_of(folder.path()).empty());  // none before it says what it is
  batch.write({"a name", 5, 9});
  REQUIRE(batches_of(folder.path()).size() == 1);
  CHECK(batches_of(folder.path())[0].path() == batch.path());
  CHECK(batch.facts()->name == "a name");
  CHECK(batch.facts()->stages == 9);
  CHECK_FALSE(batch.job());
  batch.write_job("77");
  CHECK(batch.job() == "77");
  CHECK_FALSE(batch.cancelled());
  batch.cancel();
  CHECK(batch.cancelled());

  const RecordName name{{}, 2, "77-0", 1, true};
  write(batch.records() / file_name(name), sealed(to_text({some_record(), "{}", "n1"})));
  REQUIRE(batch.list().size() == 1);
  const auto left = batch.read(batch.list().front());
  REQUIRE(left);
  CHECK(left->host == "n1");
  CHECK(to_json(left->record) == to_json(some_record()));

  write(batch.credited(), sealed(to_text(Credits{{"2.77-0", {5, 1.5, 2}}})));
  CHECK(batch.credits().at("2.77-0").taken == 2);
  CHECK(batch.credits().at("2.77-0").trained == 5);

  note_saved(folder.path(), some_record().saved.front());
  CHECK(saved_blob(folder.path(), sha256("state")) == sha256("blob"));
  CHECK_FALSE(saved_blob(folder.path(), sha256("another")));
}

TEST_CASE("no batch has the folder of another, even of one that is gone") {
  const TemporaryFolder folder;
  const BatchFolder first = make_batch(folder.path());
  fs::remove_all(first.path());
  CHECK(make_batch(folder.path()).path() != first.path());
}

TEST_CASE("time and steps of an attempt are counted once, whatever comes twice") {
  LeftRecord left{some_record(), {}, {}};
  CHECK(uncredited(left, true, {}).trained == 5);
  CHECK(uncredited(left, true, {3, 1.0, 1}).trained == 2);
  CHECK(uncredited(left, true, {3, 1.0, 1}).seconds == doctest::Approx(0.5));
  CHECK(uncredited(left, true, {5, 1.5, 2}).trained == 0);
  // What was stopped half way is no end: the stage goes on.
  left.record.outcome = Outcome::Interrupted;
  CHECK(uncredited(left, false, {}).outcome == Outcome::Done);
}

TEST_CASE("a record ends the trials that end with it, and all of them if it did not end well") {
  Record record = some_record();
  const std::vector<Passing> trials = {{sha256("a"), 8}, {sha256("b"), 20}};
  CHECK(shares_of(trials, record)[0].over);
  CHECK_FALSE(shares_of(trials, record)[1].over);
  record.outcome = Outcome::Diverged;
  CHECK(shares_of(trials, record)[1].over);
}
