#include <algorithm>
#include <fstream>
#include <map>

#include <doctest/doctest.h>

#include "execute/slurm_batch.h"
#include "perturb/core/error.h"
#include "perturb/execute/slurm.h"
#include "perturb/plan/ahead.h"
#include "perturb/store/blobs.h"
#include "temporary_folder.h"

namespace {

using namespace perturb;
namespace fs = std::filesystem;

/// A batch of one task, with what a stage of ten steps is told: it measures at 5 and 10 and saves
/// at 4 and 8.
class OneTask {
 public:
  OneTask() : batch(make_batch(folder.path())), blobs(folder.path()) {}

  void add(std::size_t number, const std::string& parent = {}) {
    TaskStage stage;
    stage.number = number;
    if (!parent.empty()) stage.after = {parent};
    Assignment& assignment = stage.assignment;
    assignment.trial.id = sha256("trial");
    assignment.trial.timeline.stretches.emplace_back().condition.set("data.batch_size", 5);
    assignment.trial.past.within = {"in force"};
    assignment.examples = 10;
    assignment.begin = static_cast<Step>(number) * 10;
    assignment.end = assignment.begin + 10;
    assignment.start = state(assignment.begin);
    assignment.last = state(assignment.end);
    assignment.heirs = 1;
    if (!parent.empty()) assignment.checkpoint = kBlobToCome;
    assignment.metrics.push_back({.kind = "m", .label = "m"});
    for (const Step step : {5, 10}) {
      const Step at = assignment.begin + step;
      assignment.measurements.push_back({at, 0, state(at), {0}, {}});
    }
    for (const Step step : {4, 8})
      assignment.saves.push_back({assignment.begin + step, 0, state(assignment.begin + step)});
    text_ += to_text(stage);
    std::ofstream(batch.task(0)) << sealed(text_);
  }

  static Digest state(Step step) { return sha256("state " + std::to_string(step)); }

  bool work(const Carry& carry, const std::string& attempt = "1-0") {
    return work_through({folder.path(), batch.path(), 0, attempt, "{}"}, carry);
  }

  /// The latest record of a stage, whoever left it; nothing if none is over.
  std::optional<Record> last(std::size_t stage) const {
    for (const RecordName& name : batch.list()) {
      if (name.stage == stage && name.last) return batch.read(name)->record;
    }
    return std::nullopt;
  }

  /// Trains as whoever trains would, but stops behind `stop` of its steps.
  Carry train(Step stop = 1000) {
    return [this, stop](const Assignment& assignment, Progress&, const auto& report) {
      begun.push_back(assignment.begin);
      checkpoint = assignment.checkpoint;
      Record record{.trial = assignment.trial.id, .step = assignment.begin};
      auto save = assignment.saves.begin();
      auto due = assignment.measurements.begin();
      for (Step step = assignment.begin; step <= assignment.end; ++step) {
        for (; due != assignment.measurements.end() && due->step == step; ++due)
          record.measured.push_back({.step = step,
                                     .state = due->state,
                                     .metric = assignment.metrics[0].definition(),
                                     .value = static_cast<double>(step)});
        record.step = step;
        if (step == stop) {
          record.saved.push_back({step, 0, {}, blobs.put("at " + std::to_string(step)), 4});
          record.outcome = Outcome::Interrupted;
          return record;
        }
        if (save != assignment.saves.end() && save->step == step) {
          record.saved.push_back(
              {step, 0, save->state, blobs.put("at " + std::to_string(step)), 4});
          ++save;
          record.outcome = Outcome::Done;
          report(std::exchange(record, {.trial = assignment.trial.id, .step = step}));
        }
        if (step < assignment.end) ++record.trained;
      }
      record.saved.push_back({assignment.end, 0, assignment.last,
                              blobs.put("at " + std::to_string(assignment.end)), 4});
      record.outcome = Outcome::Done;
      return record;
    };
  }

  TemporaryFolder folder;
  BatchFolder batch;
  Blobs blobs;
  std::vector<Step> begun;  ///< where stages were begun
  std::optional<Digest> checkpoint;

 private:
  std::string text_;
};

std::vector<std::int64_t> steps_of(const Record& record) {
  std::vector<std::int64_t> steps;
  for (const Measured& measured : record.measured) steps.push_back(measured.step);
  return steps;
}

}  // namespace

TEST_CASE("a task's stages are carried out in order, each from what the one before saved") {
  OneTask task;
  task.add(0);
  task.add(1, task.batch.name() + "/0");
  CHECK(task.work(task.train()));
  CHECK(task.begun == std::vector<Step>{0, 10});
  CHECK(task.checkpoint == sha256("at 10"));
  for (const std::size_t stage : {0u, 1u}) {
    const auto record = task.last(stage);
    REQUIRE(record);
    CHECK(record->outcome == Outcome::Done);
    CHECK(record->measured.size() == 2);
    CHECK(record->saved.size() == 3);
    CHECK(record->trained == 10);
  }
  // One file a stage: what an attempt says later takes the place of what it said before.
  CHECK(task.batch.list().size() == 2);
}

TEST_CASE("what was stopped goes on where it was, and its last record says everything") {
  OneTask task;
  task.add(0);
  CHECK_FALSE(task.work(task.train(/*stop=*/6), "1-0"));
  CHECK_FALSE(task.last(0));
  CHECK(task.work(task.train(), "1-1"));
  CHECK(task.begun == std::vector<Step>{0, 6});
  const auto record = task.last(0);
  REQUIRE(record);
  CHECK(steps_of(*record) == std::vector<std::int64_t>{5, 10});
  CHECK(record->trained == 4);  // its own; the attempt before counted the rest
  // The state at which it had to stop got its name from the trial's past.
  for (const Saved& saved : record->saved) CHECK(saved.state != Digest{});
}

TEST_CASE("who was killed goes on from the last checkpoint, and measures what was not saved") {
  OneTask task;
  task.add(0);
  struct Killed {};
  const Carry dies = [&](const Assignment& assignment, Progress& progress, const auto& report) {
    std::size_t reports = 0;
    return task.train()(assignment, progress, [&](Record&& record) {
      report(std::move(record));
      if (++reports == 1) throw Killed{};
    });
  };
  CHECK_THROWS_AS(task.work(dies, "1-0"), Killed);
  CHECK(task.work(task.train(), "2-0"));
  CHECK(task.begun == std::vector<Step>{0, 4});
  CHECK(steps_of(*task.last(0)) == std::vector<std::int64_t>{5, 10});
}

TEST_CASE("where the checkpoint to go on from was removed it begins anew") {
  OneTask task;
  task.add(0);
  CHECK_FALSE(task.work(task.train(/*stop=*/6), "1-0"));
  for (const char* blob : {"at 4", "at 6"}) task.blobs.remove(sha256(blob));
  CHECK(task.work(task.train(), "2-0"));
  CHECK(task.begun == std::vector<Step>{0, 0});
  CHECK(steps_of(*task.last(0)) == std::vector<std::int64_t>{5, 10});
}

TEST_CASE("what is over is not carried out again, whoever is asked") {
  OneTask task;
  task.add(0);
  CHECK(task.work(task.train(), "1-0"));
  CHECK(task.work(task.train(), "2-0"));
  CHECK(task.begun.size() == 1);
  CHECK(task.batch.list().size() == 1);
}

TEST_CASE("a record of which half is there counts for nothing") {
  OneTask task;
  task.add(0);
  CHECK(task.work(task.train(), "1-0"));
  const fs::path file = task.batch.records() / task.batch.list().front().file;
  fs::resize_file(file, fs::file_size(file) / 2);
  CHECK(task.work(task.train(), "2-0"));
  CHECK(task.begun.size() == 2);
  CHECK_FALSE(task.batch.list().empty());
}

TEST_CASE("what goes on from a stage that failed never begins, and the other stages do") {
  OneTask task;
  task.add(0);
  task.add(1, task.batch.name() + "/0");
  task.add(2);
  const Carry carry = [&](const Assignment& assignment, Progress& progress, const auto& report) {
    if (assignment.begin > 0) return task.train()(assignment, progress, report);
    task.begun.push_back(assignment.begin);
    return Record{.trial = assignment.trial.id, .outcome = Outcome::Failed, .message = "why"};
  };
  CHECK(task.work(carry));
  CHECK(task.begun == std::vector<Step>{0, 20});
  CHECK(task.last(0)->outcome == Outcome::Failed);
  CHECK_FALSE(task.last(1));
  CHECK(task.last(2)->outcome == Outcome::Done);
}

TEST_CASE("what is left of a batch is given away once, then only what is new") {
  OneTask task;
  task.add(0);
  task.batch.write({"name", 1, 1});
  CHECK_FALSE(task.work(task.train(/*stop=*/6), "1-0"));
  std::vector<Record> kept;
  const auto collect = [&] {
    kept.clear();
    SlurmLeft left(task.folder.path());
    const auto count = left.each([&](const Record& record, const auto&, const std::string& with) {
      CHECK(with == "{}");
      kept.push_back(record);
    });
    CHECK(count == kept.size());
    left.taken();
  };
  collect();
  REQUIRE(kept.size() == 1);
  CHECK(kept[0].outcome == Outcome::Done);
  CHECK(kept[0].step == 6);
  CHECK(kept[0].trained == 6);
  collect();
  CHECK(kept.empty());
  CHECK(task.work(task.train(), "1-1"));
  collect();
  REQUIRE(kept.size() == 1);
  CHECK(kept[0].step == 10);
  CHECK(kept[0].trained == 4);
  CHECK(kept[0].measured.size() == 2);
}
