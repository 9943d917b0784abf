// Law 3 for stages: cut anywhere, handed over in memory or by a file, the same bits.
#include <filesystem>
#include <map>
#include <string>
#include <vector>

#include <ATen/ATen.h>

#include "doctest_torch.h"
#include "perturb/core/error.h"
#include "perturb/core/safetensors.h"
#include "perturb/store/blobs.h"
#include "perturb/train/checkpoint.h"
#include "perturb/train/handover.h"
#include "perturb/train/metric.h"
#include "temporary_folder.h"
#include "train/declared.h"

namespace perturb {
namespace {

/// A value for every (step, metric), whoever measured it.
using Values = std::map<std::pair<Step, Digest>, double>;

void add(Values& values, const Record& record) {
  for (const auto& m : record.measured) values[{m.step, m.metric}] = m.value;
}

Values values_of(const Record& record) {
  Values values;
  add(values, record);
  return values;
}

/// The part of a whole trial's assignment between two steps.
Assignment part(const Assignment& whole, Step begin, Step end) {
  Assignment out = whole;
  out.begin = begin;
  out.end = end;
  out.start = whole.trial.state(begin);
  out.last = whole.trial.state(end);
  std::erase_if(out.measurements, [&](const Measurement& m) {
    return m.step > end || m.step < begin || (m.step == begin && begin > 0);
  });
  return out;
}

/// What is in force changes in all the ways there are: a rate, the batch size, the optimizer, its
/// momentum, noise on the weights.
const std::vector<std::string> kTrials = {
    "",
    "optimizer.kind = \"adam\"\n",
    "optimizer.kind = \"adamw\"\n",
    "[[interventions]]\nset.optimizer.momentum = 0.5\nwhen = [[3, 11], [20, 25]]\n",
    "[[interventions]]\nset.optimizer.kind = \"adam\"\nwhen = [[7, 13]]\n",
    "[[interventions]]\nset.data.batch_size = 48\nwhen = [[5, 12]]\n",
    "[[interventions]]\nkind = \"perturb-weights\"\nepsilon = 0.1\nwhen = [[4, 9]]\n",
    "[[interventions]]\nset.seeds.shuffle = 3\nwhen = [[8, 40]]\n",
};

Declared last_of(const std::string& more) {
  const auto toml = small_trial(more);
  return Declared(toml, declared(toml).trials() - 1);
}

}  // namespace

TEST_CASE("a trial cut in two anywhere, and handed over in any way, gives the same bits") {
  const TemporaryFolder folder;
  const Blobs blobs(folder.path());
  for (const auto& more : kTrials) {
    CAPTURE(more);
    const auto trial = last_of(more);
    const auto whole = trial.carry_out();
    REQUIRE(whole.outcome == Outcome::Done);
    for (const Step cut : {1, 5, 7, 9, 13, 20, 21, 25}) {
      CAPTURE(cut);
      // As the session itself, as a copy in memory, and as a file: the first and the second heir
      // of a stage, and one for which there was no room.
      for (const int way : {0, 1, 2}) {
        CAPTURE(way);
        Handover handover(way == 2 ? 0 : 1 << 30);
        auto means = trial.means();
        means.blobs = &blobs;
        means.handover = &handover;
        Progress progress;
        auto first = part(trial.assignment, 0, cut);
        first.heirs = way == 0 ? 1 : 2;
        const auto before = carry_out(first, progress, means);
        REQUIRE(before.outcome == Outcome::Done);
        CHECK(before.trained == cut);
        auto rest = part(trial.assignment, cut, trial.assignment.end);
        CHECK(before.saved.size() == (way == 2 ? 1 : 0));
        if (way == 2) rest.checkpoint = before.saved.back().blob;
        if (way == 1) (void)handover.take(first.last);  // the other heir came first
        const auto after = carry_out(rest, progress, means);
        REQUIRE(after.outcome == Outcome::Done);
        CHECK(after.trained == trial.assignment.end - cut);
        CHECK(after.step == trial.assignment.end);
        auto values = values_of(before);
        add(values, after);
        CHECK((values == values_of(whole)));
        // Nothing waits any longer: whoever comes now comes too late.
        CHECK(carry_out(rest, progress, trial.means()).start_lost);
      }
    }
  }
}

TEST_CASE("checkpoints on the way change nothing, and each goes on to the same end") {
  const TemporaryFolder folder;
  const Blobs blobs(folder.path());
  for (const auto& more : kTrials) {
    CAPTURE(more);
    const auto trial = last_of(more);
    const auto whole = values_of(trial.carry_out());
    auto stage = trial.assignment;
    for (const Step step : {Step{2}, Step{10}, Step{20}, Step{25}, stage.end})
      stage.saves.push_back({step, static_cast<double>(step) / 20, stage.trial.state(step)});
    auto means = trial.means();
    means.blobs = &blobs;
    std::vector<Record> records;
    means.report = [&](Record&& record) { records.push_back(std::move(record)); };
    Progress progress;
    records.push_back(carry_out(stage, progress, means));

    REQUIRE(records.size() == 5);
    Values values;
    Step reached = 0;
    for (const auto& record : records) {
      CHECK(record.outcome == Outcome::Done);
      REQUIRE(record.saved.size() == 1);
      CHECK(record.saved[0].step == record.step);
      CHECK(record.trained == record.step - reached);
      reached = record.step;
      add(values, record);
      // What was measured by then comes with it: a state that is there is measured.
      for (const auto& m : record.measured) CHECK(m.step <= record.step);
    }
    CHECK((values == whole));
    for (const auto& record : records) {
      auto rest = part(trial.assignment, record.step, trial.assignment.end);
      rest.checkpoint = record.saved[0].blob;
      auto resumed = values_of(carry_out(rest, progress, means));
      for (const auto& [what, value] : whole) {
        if (what.first > record.step) CHECK(resumed.at(what) == value);
      }
    }
  }
}

TEST_CASE("what is stopped under way saves where it stands, and goes on from there") {
  const TemporaryFolder folder;
  const Blobs blobs(folder.path());
  const auto trial = last_of("optimizer.kind = \"adam\"\n");
  auto means = trial.means();
  means.blobs = &blobs;
  Progress progress;
  Handover handover(1 << 30);
  means.handover = &handover;
  auto first = part(trial.assignment, 0, 6);
  first.heirs = 1;
  REQUIRE(carry_out(first, progress, means).outcome == Outcome::Done);
  progress.stop = true;
  const auto nothing = carry_out(part(trial.assignment, 6, 40), progress, means);
  CHECK(nothing.outcome == Outcome::Interrupted);
  CHECK(nothing.saved.empty());  // it did not move

  /// Stops itself at a step of its choice.
  Registries registries;
  add_builtins(registries);
  registries.metrics = Registry<MetricFactory>("metric");
  struct Stop final : Metric {
    explicit Stop(Progress& stopped) : progress(stopped) {}
    double measure(Observation&) override {
      progress.stop = true;
      return 0;
    }
    Progress& progress;
  };
  Progress stopped;
  registries.metrics.add("stop",
                         [&](const Parameters&) { return std::make_unique<Stop>(stopped); });
  auto stage = trial.assignment;
  stage.metrics = {{.kind = "stop", .parameters = {}, .label = "stop", .every = {}}};
  stage.measurements = {
      {.step = 17, .epoch = 0.85, .state = stage.trial.state(17), .metrics = {0}}};
  auto stopping = trial.means(registries);
  stopping.blobs = &blobs;
  const auto record = carry_out(stage, stopped, stopping);
  CHECK(record.outcome == Outcome::Interrupted);
  CHECK(record.step == 17);
  REQUIRE(record.saved.size() == 1);
  CHECK(record.saved[0].step == 17);
  CHECK(record.saved[0].state == Digest{});

  auto rest = part(trial.assignment, 17, 40);
  rest.checkpoint = record.saved[0].blob;
  Progress again;
  const auto resumed = values_of(carry_out(rest, again, means));
  const auto whole = values_of(trial.carry_out());
  for (const auto& [what, value] : whole) {
    if (what.first > 17) CHECK(resumed.at(what) == value);
  }
}

TEST_CASE("a checkpoint is a safetensors file with every name in it, and equal states are equal") {
  const auto trial = last_of("optimizer.kind = \"adam\"\n");
  Progress progress;
  Session one(trial.assignment, builtins(), trial.data);
  Session other(trial.assignment, builtins(), trial.data);
  one.advance(5, progress);
  other.advance(3, progress);
  other.advance(5, progress);
  const auto bytes = to_safetensors(one.state(), one.optimizer(), one.step());
  CHECK(bytes == to_safetensors(other.state(), other.optimizer(), other.step()));

  const auto file = read_safetensors(bytes);
  CHECK(file.metadata.at("optimizer") == "adam");
  CHECK(file.metadata.at("updates") == "5");
  for (const auto& slice : one.state().layout()) {
    REQUIRE(file.find(slice.name));
    CHECK(file.find(slice.name)->shape == slice.shape);
  }
  CHECK(file.find("optimizer.moment.0"));
  CHECK(file.find("optimizer.moment.1"));
  const auto back = snapshot_from(bytes, one.state());
  CHECK(at::equal(back.parameters, one.state().parameters()));
  CHECK(at::equal(back.moments.at(1), one.state().moments().at(1)));
  CHECK(back.updates == 5);
}

TEST_CASE("what is no checkpoint of this model is refused, and nothing is trained") {
  const TemporaryFolder folder;
  const Blobs blobs(folder.path());
  const auto trial = last_of("");
  const auto other = last_of("optimizer.kind = \"adam\"\n");
  Progress progress;
  auto means = trial.means();
  means.blobs = &blobs;
  const auto refused = [&](const Digest& blob) {
    auto rest = part(trial.assignment, 5, 40);
    rest.checkpoint = blob;
    const auto record = carry_out(rest, progress, means);
    CHECK(record.start_lost);
    CHECK(record.trained == 0);
    CHECK(record.measured.empty());
    return record.message;
  };
  CHECK(refused(sha256("never written")).find("missing") != std::string::npos);
  CHECK_FALSE(refused(blobs.put("not a checkpoint")).empty());
  CHECK_FALSE(refused(blobs.put(write_safetensors({}, {}))).empty());

  Session session(trial.assignment, builtins(), trial.data);
  session.advance(5, progress);
  const auto whole = to_safetensors(session.state(), "sgd", 5);
  const auto good = blobs.put(whole);
  auto bytes = whole;
  bytes[bytes.size() - 1] ^= 1;
  std::filesystem::remove(blobs.path(good));
  std::filesystem::create_directories(blobs.path(good).parent_path());
  // Another content under the name: found by its digest.
  std::filesystem::rename(blobs.path(blobs.put(bytes)), blobs.path(good));
  CHECK_FALSE(refused(good).empty());
}

}  // namespace perturb
