// How fast the store is at the sizes that docs/performance.md promises. Not a test: it prints
// seconds. Usage: store_bench [FOLDER]
#include <chrono>
#include <cstdio>
#include <ctime>
#include <filesystem>
#include <string>
#include <unistd.h>

#include "perturb/core/random.h"
#include "perturb/store/store.h"

namespace {

using namespace perturb;
namespace fs = std::filesystem;

constexpr std::int64_t kStride = 10;  // a control and nine interventions

Digest digest_of(const char* what, std::int64_t number, std::int64_t step = 0) {
  return sha256(what + std::to_string(number) + "/" + std::to_string(step));
}

Member member(const char* experiment, std::int64_t number, bool shared) {
  Member member;
  member.number = number;
  member.variation = number / kStride;
  member.control = member.variation * kStride;
  member.intervention = number % kStride == 0
                            ? "control"
                            : "optimizer.momentum x 1.00" + std::to_string(number % kStride);
  member.trial = digest_of(experiment, number);
  const std::int64_t condition = shared ? member.variation : number;
  for (int i = 0; i < 26; ++i)
    member.factors.emplace_back("section.field_" + std::to_string(i), Value(i * 0.25));
  member.factors.emplace_back("seeds.init", Value(condition));
  member.factors.emplace_back("optimizer.lr", Value(0.1 / static_cast<double>(1 + number % 3)));
  member.factors.emplace_back("model.kind", Value("lenet5"));
  member.factors.emplace_back("data.kind", Value("fashion-mnist"));
  member.condition = "{";
  for (const auto& [name, value] : member.factors) {
    if (name == "optimizer.lr") continue;
    member.condition += to_json(Value(name)) + ":" + to_json(value) + ",";
  }
  member.condition += "}";
  member.operations =
      R"([{"kind":"set","parameters":{"optimizer.momentum":0.9},"windows":[[0,100]]}])";
  return member;
}

ExperimentRow experiment(const std::string& name) {
  ExperimentRow row;
  row.name = name;
  row.digest = sha256(name);
  for (const char* metric : {"test.accuracy", "test.loss", "train.accuracy", "train.loss"})
    row.metrics.push_back({sha256(metric), metric, "{}"});
  return row;
}

Record record(const char* experiment, std::int64_t number, int states) {
  Record record;
  record.trial = digest_of(experiment, number);
  record.outcome = Outcome::Done;
  record.step = 938 * (states - 1);
  record.seconds = 1;
  record.trained = record.step;
  Random random(static_cast<std::uint64_t>(number), "value");
  for (int i = 0; i < states; ++i) {
    const Digest state = digest_of(experiment, number, i + 1);
    for (const char* metric : {"test.accuracy", "test.loss", "train.accuracy", "train.loss"})
      record.measured.push_back(
          {i * 938, static_cast<double>(i), state, sha256(metric), random.uniform()});
  }
  return record;
}

template <typename Work>
void timed(const std::string& what, const Work& work) {
  const auto begin = std::chrono::steady_clock::now();
  const std::clock_t busy = std::clock();
  work();
  const std::chrono::duration<double> seconds = std::chrono::steady_clock::now() - begin;
  std::printf("%8.3f s, processor %8.3f s  %s\n", seconds.count(),
              static_cast<double>(std::clock() - busy) / CLOCKS_PER_SEC, what.c_str());
  std::fflush(stdout);
}

void declare(Store& store, const char* name, const ExperimentRow& row,
             const std::vector<Member>& members) {
  (void)name;
  std::size_t next = 0;
  store.declare(row, [&]() -> std::optional<Member> {
    if (next == members.size()) return std::nullopt;
    return members[next++];
  });
}

std::vector<Member> members(const char* experiment, std::int64_t count, bool shared) {
  std::vector<Member> all;
  for (std::int64_t i = 0; i < count; ++i) all.push_back(member(experiment, i, shared));
  return all;
}

}  // namespace

int main(int argc, char** argv) {
  const fs::path folder = argc > 1 ? argv[1] : "/tmp/perturb-store-bench";
  fs::remove_all(folder);
  std::vector<Digest> trials;
  const std::vector<Digest> metrics = {sha256("test.accuracy"), sha256("test.loss"),
                                       sha256("train.accuracy"), sha256("train.loss")};
  {
    Store store = Store::open(folder, Store::Access::Write);
    auto large = members("large", 100'000, true);
    timed("declare 100,000 members, conditions shared by 10",
          [&] { declare(store, "large", experiment("large"), large); });
    timed("declare the same again", [&] { declare(store, "large", experiment("large"), large); });
    {
      auto changed = experiment("large");
      changed.digest = sha256("changed");
      timed("declare it changed", [&] { declare(store, "large", changed, large); });
    }
    auto other = members("other", 100'000, false);
    timed("declare 100,000 members, each with its own condition",
          [&] { declare(store, "other", experiment("other"), other); });
    const RunId run = store.begin_run({"large", "bench", "0", "{}"});
    std::vector<Record> records;
    for (std::int64_t i = 0; i < 10'000; ++i) records.push_back(record("other", i, 1));
    timed("keep 10,000 records of 4 values", [&] {
      for (const Record& each : records) store.keep(run, each);
      store.flush();
    });
    timed("keep 200 records of 4 values, each flushed", [&] {
      for (std::int64_t i = 0; i < 200; ++i) {
        store.keep(run, record("other", 20'000 + i, 1));
        store.flush();
      }
    });
    for (int part = 0; part < 10; ++part) {
      records.clear();
      for (std::int64_t i = 0; i < 10'000; ++i)
        records.push_back(record("large", ((part * 10'000 + i) * 7919) % 100'000, 5));
      timed("keep 10,000 records of 20 values (one experiment)", [&] {
        for (const Record& each : records) store.keep(run, each);
        store.flush();
      });
    }
    for (const Member& each : large) trials.push_back(each.trial);
    for (int e = 0; e < 20; ++e) {
      const std::string name = "small" + std::to_string(e);
      declare(store, name.c_str(), experiment(name), members(name.c_str(), 1000, true));
      for (std::int64_t i = 0; i < 1000; ++i) store.keep(run, record(name.c_str(), i, 25));
    }
    store.end_run(run, "done");
    timed("known: 100,000 trials, 20 values each", [&] { store.known(trials, metrics); });
    std::vector<Digest> others;
    for (const Member& each : other) others.push_back(each.trial);
    timed("known: 100,000 trials, 10,200 of them with 4 values",
          [&] { store.known(others, metrics); });
    timed("seconds_per_step", [&] { store.seconds_per_step("lenet5", "fashion-mnist"); });
    timed("close", [&] { Store closing = std::move(store); });
  }
  const Store store = Store::open(folder, Store::Access::Read);
  const auto ask = [&](const std::string& sql) {
    store.query(sql);
    timed(sql, [&] { store.query(sql); });
  };
  ask("select \"optimizer.lr\", avg(value) from results where metric = 'test.accuracy' and "
      "experiment = 'small7' group by 1");
  ask("select metric, step, avg(value) from results where experiment = 'small7' group by 1, 2");
  ask("select intervention, avg(difference) from contrasts where experiment = 'small7' and metric "
      "= 'test.accuracy' group by 1");
  ask("select count(*) from results where experiment = 'small7'");
  ask("select \"optimizer.lr\", avg(value) from results where metric = 'test.accuracy' and "
      "experiment = 'large' group by 1");
  ask("select \"optimizer.lr\", avg(value) from results where metric = 'test.accuracy' group by 1");
  ask("select outcome, count(*) from trials where experiment = 'large' group by 1");
  timed("select * from results where experiment = 'small7'",
        [&] { store.query("select * from results where experiment = 'small7'"); });
  std::printf("results.db: %ju MB\n",
              static_cast<std::uintmax_t>(fs::file_size(folder / "results.db") >> 20));
  fs::remove_all(folder);
}
