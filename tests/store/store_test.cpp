#include "perturb/store/store.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <string>

#include <doctest/doctest.h>

#include "perturb/core/error.h"
#include "perturb/core/random.h"
#include "store/fixture.h"

using namespace perturb;
using namespace perturb::fixture;

namespace {

constexpr double kInfinity = std::numeric_limits<double>::infinity();

Known known_of(const Store& store, std::int64_t number) {
  const auto all = store.known({trial(number)}, {kAccuracy, kLoss});
  REQUIRE(all.size() == 1);
  return all.begin()->second;
}

Record failure(std::int64_t number, Outcome outcome, std::int64_t step) {
  Record record;
  record.trial = trial(number);
  record.outcome = outcome;
  record.step = step;
  record.message = "at step " + std::to_string(step);
  record.seconds = 1;
  record.trained = step;
  return record;
}

}  // namespace

TEST_CASE("what was kept is known") {
  Store store = Store::in_memory();
  declare(store, experiment(), members());
  CHECK(store.known({trial(0)}, {kAccuracy}).empty());
  store.keep(begin_run(store), record(0));

  const auto all = store.known({trial(0), trial(1), trial(0)}, {kLoss, sha256("other"), kAccuracy});
  REQUIRE(all.size() == 1);
  Known known = all.at(trial(0));
  CHECK(known.outcome == Outcome::Done);
  CHECK(known.step == 200);
  CHECK(known.done == 200);
  CHECK(known.seconds == 2);
  CHECK(known.trained == 200);
  std::sort(known.measured.begin(), known.measured.end());
  const std::vector<std::pair<std::int64_t, std::uint32_t>> expected = {
      {0, 0}, {0, 2}, {100, 0}, {100, 2}, {200, 0}, {200, 2}};
  CHECK(known.measured == expected);
}

TEST_CASE("known does not mix trials up, however they are numbered and asked for") {
  Store store = Store::in_memory();
  const RunId run = begin_run(store);
  Random random(1, "which");
  std::vector<Digest> asked;
  for (std::int64_t number = 0; number < 60; ++number) {
    if (random.below(3) > 0) store.keep(run, record(number, static_cast<int>(number % 4)));
    if (random.below(4) > 0) asked.push_back(trial(number));
  }
  std::reverse(asked.begin(), asked.end());
  const auto all = store.known(asked, {kAccuracy});
  CHECK(all.size() > 20);
  for (std::int64_t number = 0; number < 60; ++number) {
    if (!all.contains(trial(number))) continue;
    CAPTURE(number);
    const Known& known = all.at(trial(number));
    CHECK(known.step == 100 * (number % 4));
    CHECK(known.measured.size() == static_cast<std::size_t>(1 + number % 4));
  }
}

TEST_CASE("records of one trial merge") {
  Store store = Store::in_memory();
  const RunId run = begin_run(store);
  const auto after = [&](const std::vector<Record>& records) {
    for (const Record& each : records) store.keep(run, each);
    return known_of(store, 0);
  };

  SUBCASE("a longer run adds what it measured") {
    const Known known = after({record(0, 1), record(0, 3)});
    CHECK(known.step == 300);
    CHECK(known.measured.size() == 8);
    CHECK(known.seconds == 4);
    CHECK(known.trained == 400);
  }
  SUBCASE("a shorter one does not shorten it") {
    const Known known = after({record(0, 3), record(0, 1)});
    CHECK(known.step == 300);
    CHECK(known.done == 300);
  }
  SUBCASE("an interruption hides nothing") {
    const Known known = after({record(0, 1), failure(0, Outcome::Interrupted, 250)});
    CHECK(known.outcome == Outcome::Done);
    CHECK(known.step == 100);
    CHECK(known.message.empty());
  }
  SUBCASE("an interruption is better than nothing, and gives way to anything") {
    CHECK(after({failure(0, Outcome::Interrupted, 50)}).outcome == Outcome::Interrupted);
    CHECK(after({failure(0, Outcome::Interrupted, 20)}).step == 50);
    const Known known = after({failure(0, Outcome::OutOfMemory, 10)});
    CHECK(known.outcome == Outcome::OutOfMemory);
    CHECK(known.step == 10);
    CHECK(known.done == -1);
  }
  SUBCASE("what was done stays done when a longer run fails") {
    const Known known = after({record(0, 1), failure(0, Outcome::Diverged, 150)});
    CHECK(known.outcome == Outcome::Diverged);
    CHECK(known.step == 150);
    CHECK(known.message == "at step 150");
    CHECK(known.done == 100);
    CHECK(known.measured.size() == 4);
  }
  SUBCASE("a shorter run that is done does not hide that a longer one failed") {
    const Known known = after({failure(0, Outcome::Diverged, 150), record(0, 1)});
    CHECK(known.outcome == Outcome::Diverged);
    CHECK(known.done == 100);
  }
  SUBCASE("a failure is over when a run gets as far") {
    const Known known = after({failure(0, Outcome::Failed, 150), record(0, 2)});
    CHECK(known.outcome == Outcome::Done);
    CHECK(known.message.empty());
  }
}

TEST_CASE("the first value stays, and one that differs is counted") {
  Store store = Store::in_memory();
  declare(store, experiment(), members());
  const RunId run = begin_run(store);
  store.keep(run, record(0));
  store.keep(run, record(0));
  CHECK(ask(store, "select conflicts from runs") == "0\n");

  Record other = record(0);
  other.measured[0].value += 1e-9;
  store.keep(run, other);
  CHECK(ask(store, "select conflicts from runs") == "1\n");
  CHECK(ask(store, "select value from results where step = 0 and metric = 'test.accuracy'") ==
        "0\n");
}

TEST_CASE("a state that is at another place of the same trial is a conflict") {
  Store store = Store::in_memory();
  const RunId run = begin_run(store);
  store.keep(run, record(0));
  Record other = record(0);
  for (Measured& measured : other.measured)
    measured.state = sha256("elsewhere" + std::to_string(measured.step));
  store.keep(run, other);
  CHECK(ask(store, "select conflicts from runs") == "3\n");
  CHECK(known_of(store, 0).measured.size() == 6);
}

TEST_CASE("NaN and the infinities come back as what they were, and -0 as 0") {
  Store store = Store::in_memory();
  declare(store, experiment(), members());
  const RunId run = begin_run(store);
  Record strange = record(0);
  const std::vector<double> values = {std::nan(""), kInfinity, -kInfinity, -0.0, 5e-324, 0.1};
  for (std::size_t i = 0; i < values.size(); ++i) strange.measured[i].value = values[i];
  store.keep(run, strange);
  store.keep(run, strange);
  CHECK(ask(store, "select conflicts from runs") == "0\n");

  // By step, accuracy before loss: the order of the record.
  const Table table = store.query("select value from results where number = 0");
  REQUIRE(table.rows.size() == values.size());
  CHECK(std::holds_alternative<std::monostate>(table.rows[0][0]));
  for (std::size_t i = 1; i < values.size(); ++i)
    CHECK(std::get<double>(table.rows[i][0]) == values[i]);
  // A row that is there and null measured NaN: it is known, and countable.
  CHECK(known_of(store, 0).measured.size() == 6);
  CHECK(ask(store, "select count(*) - count(value) from results") == "1\n");
}

TEST_CASE("measurements belong to states: trials with the same past share them") {
  Store store = Store::in_memory();
  declare(store, experiment(), members());
  const RunId run = begin_run(store);
  Record first = record(0);
  store.keep(run, first);
  Record second = record(1);
  second.measured[0].state = first.measured[0].state;
  second.measured.erase(second.measured.begin() + 1);  // its loss at step 0 was not measured
  second.measured[0].value = first.measured[0].value;
  store.keep(run, second);
  CHECK(ask(store, "select metric, value from results where number = 1 and step = 0") ==
        "test.accuracy|0\ntest.loss|0.5\n");
}

TEST_CASE("an unchanged experiment is left alone, and a changed one replaces its members only") {
  Store store = Store::in_memory();
  declare(store, experiment(), members());
  store.keep(begin_run(store), record(3));

  store.declare(experiment(), []() -> std::optional<Member> {
    FAIL("nobody should ask for the members of an unchanged experiment");
    return std::nullopt;
  });
  CHECK(ask(store, "select count(*) from trials") == "4\n");

  declare(store, experiment("momentum", "2"), members(2));
  CHECK(ask(store, "select number from trials") == "0\n1\n");
  CHECK(ask(store, "select members from experiments") == "2\n");
  CHECK(ask(store, "select count(*) from factors") == "2\n");
  CHECK(ask(store, "select count(*) from results") == "0\n");

  declare(store, experiment("momentum", "3"), members());
  CHECK(ask(store, "select count(*) from results where number = 3") == "6\n");
}

TEST_CASE("a declaration that fails changes nothing") {
  Store store = Store::in_memory();
  declare(store, experiment(), members());
  const std::string before = ask(store, "select * from trials");
  int calls = 0;
  CHECK_THROWS_AS(store.declare(experiment("momentum", "2"),
                                [&]() -> std::optional<Member> {
                                  if (++calls == 3) throw std::runtime_error("cannot go on");
                                  Member changed = member(calls);
                                  add_factor(changed, "new.factor", 1);
                                  return changed;
                                }),
                  std::runtime_error);
  CHECK(ask(store, "select * from trials") == before);
  declare(store, experiment("momentum", "2"), members(2));
  CHECK(ask(store, "select count(*) from trials") == "2\n");
}

TEST_CASE("an experiment shows the metrics and the steps that it asked for") {
  Store store = Store::in_memory();
  auto all = members();
  for (Member& each : all) each.steps = 100;
  declare(store, experiment("short"), all);
  auto only_loss = experiment("loss");
  only_loss.metrics = {{kLoss, "test.loss", "{}"}};
  declare(store, only_loss, members());
  store.keep(begin_run(store), record(1, 3));
  CHECK(ask(store, "select experiment, metric, max(step), count(*) from results group by 1, 2") ==
        "loss|test.loss|300|4\nshort|test.accuracy|100|2\nshort|test.loss|100|2\n");
}

TEST_CASE("factors are columns of every view") {
  Store store = Store::in_memory();
  declare(store, experiment(), members());
  const RunId run = begin_run(store);
  for (std::int64_t number = 0; number < 4; ++number) store.keep(run, record(number));

  CHECK(ask(store,
            "select \"optimizer.lr\", avg(value) from results where metric = 'test.accuracy' "
            "group by 1") == "0.01|2.6\n0.1|0.6000000000000001\n");
  CHECK(ask(store,
            "select number, \"model.widths\", \"set.optimizer.momentum\" from contrasts "
            "group by number") == "1|[64,10]|0.99\n3|[64,10]|0.99\n");
  CHECK(ask(store, "select \"model.kind\", typeof(\"optimizer.lr\") from trials limit 1") ==
        "mlp|real\n");
  CHECK(ask(store, "select count(*) from trials where \"set.optimizer.momentum\" is null") ==
        "2\n");

  auto other = experiment("widths");
  auto grown = members(2);
  add_factor(grown[1], "data.batch_size", 32);
  declare(store, other, grown);
  CHECK(ask(store,
            "select experiment, number, \"data.batch_size\" from trials "
            "where \"data.batch_size\" is not null") == "widths|1|32\n");
}

TEST_CASE("columns of factors come in the order of their names, whoever brought them") {
  Store one = Store::in_memory();
  Store two = Store::in_memory();
  auto grown = members(2);
  add_factor(grown[0], "a.first", true);
  declare(one, experiment("a"), members());
  declare(one, experiment("b"), grown);
  declare(two, experiment("b"), grown);
  declare(two, experiment("a"), members());
  for (const char* view : {"results", "contrasts"}) {
    const std::string sql = std::string("select * from ") + view;
    CHECK(one.query(sql).columns == two.query(sql).columns);
  }
  CHECK(ask(one, "select * from results") == ask(two, "select * from results"));
}

TEST_CASE("names that cannot be columns are refused, and so are too many") {
  Store store = Store::in_memory();
  const auto try_name = [&](const std::string& name) {
    auto all = members(1);
    add_factor(all[0], name, 1);
    declare(store, experiment("names", name), all);
  };
  for (const char* bad : {"", "Optimizer.lr", "a b", "a\"b", "é", "step", "value", "experiment"}) {
    CAPTURE(bad);
    CHECK_THROWS_AS(try_name(bad), Error);
  }
  CHECK_THROWS_AS(try_name(std::string(65, 'a')), Error);
  CHECK_NOTHROW(try_name(std::string(64, 'a')));
  CHECK_NOTHROW(try_name("select"));

  auto all = members(1);
  for (int i = 0; i < 1600; ++i) add_factor(all[0], "many." + std::to_string(i), i);
  CHECK_THROWS_AS(declare(store, experiment("many"), all), Error);
  all[0].factors.resize(300);
  declare(store, experiment("many"), all);
  CHECK(ask(store, "select \"many.200\" from trials where experiment = 'many'") == "200\n");
  CHECK(store.query("select * from contrasts").columns.size() > 300);
}

TEST_CASE("an intervention is paired with its control at the same epoch, not at the same step") {
  Store store = Store::in_memory();
  declare(store, experiment(), members(2));
  const RunId run = begin_run(store);
  store.keep(run, record(0, 2));
  // Twice the batch size: an epoch in half the steps, so that step 100 is the end of epoch 2.
  Record half = record(1, 4);
  for (Measured& measured : half.measured) measured.epoch *= 2;
  store.keep(run, half);
  CHECK(ask(store,
            "select step, epoch, value, control_value, difference from contrasts "
            "where metric = 'test.accuracy'") == "0|0|1|0|1\n100|2|1.1|0.2|0.9000000000000001\n");
}

TEST_CASE("`results` is the same bytes in whatever order the trials were carried out") {
  const auto dump = [](std::uint64_t seed) {
    Store store = Store::in_memory();
    declare(store, experiment("z"), members(20));
    declare(store, experiment("a"), members(7));
    std::vector<Record> records;
    for (std::int64_t number = 0; number < 20; ++number) {
      records.push_back(record(number, 3));
      records.push_back(record(number, 1));
      std::reverse(records.back().measured.begin(), records.back().measured.end());
    }
    const RunId run = begin_run(store);
    for (const std::int64_t i : Random(seed, "order").permutation(records.size()))
      store.keep(run, records[static_cast<std::size_t>(i)]);
    // In the promised order although nobody asks for it.
    const std::string plain = ask(store, "select * from results");
    CHECK(plain == ask(store, "select * from results order by experiment, number, step, metric"));
    CHECK(ask(store, "select * from contrasts") ==
          ask(store, "select * from contrasts order by experiment, number, step, metric"));
    return plain;
  };
  const std::string first = dump(1);
  CHECK(std::count(first.begin(), first.end(), '\n') == 27 * 4 * 2);
  for (std::uint64_t seed = 2; seed < 8; ++seed) CHECK(dump(seed) == first);
}

TEST_CASE("the promised order needs no sorting, and grouping merges the view") {
  Store store = Store::in_memory();
  declare(store, experiment(), members());
  CHECK(ask(store,
            "explain query plan select * from results order by experiment, number, step, metric")
            .find("TEMP B-TREE") == std::string::npos);
  const std::string plan =
      ask(store, "explain query plan select avg(value) from results where experiment = 'momentum'");
  CHECK(plan.find("CO-ROUTINE") == std::string::npos);
  CHECK(plan.find("MATERIALIZE") == std::string::npos);
  CHECK(ask(store, "explain query plan select * from contrasts").find("trial_epochs") !=
        std::string::npos);
}

TEST_CASE("a record that nobody declared is kept, and its trial may be declared later") {
  Store store = Store::in_memory();
  store.keep(begin_run(store), record(1));
  CHECK(known_of(store, 1).measured.size() == 6);
  CHECK(ask(store, "select * from trials") == "");
  declare(store, experiment(), members());
  CHECK(ask(store, "select outcome, condition from trials where number = 1") ==
        "done|{\"optimizer.lr\":0.1}\n");
  CHECK(ask(store, "select count(*) from results where metric = 'test.accuracy'") == "3\n");
}

TEST_CASE("a record is stored whole or not at all") {
  Store store = Store::in_memory();
  const RunId run = begin_run(store);
  store.keep(run, record(0));
  Record bad = record(1);
  for (Measured& measured : bad.measured) {
    if (measured.step == 200) measured.epoch = std::nan("");  // which no column of epochs takes
  }
  CHECK_THROWS_AS(store.keep(run, bad), Error);
  store.keep(run, record(2));
  store.flush();
  CHECK(store.known({trial(0), trial(1), trial(2)}, {}).size() == 2);
  CHECK(ask(store, "select count(*) from measurements") == "12\n");
}

TEST_CASE("runs say who, how and how it ended") {
  Store store = Store::in_memory();
  const RunId run = begin_run(store);
  CHECK(ask(store, "select experiment, command, version, ended, outcome from runs") ==
        "momentum|perturb run momentum.toml|0.1.0|null|null\n");
  store.end_run(run, "interrupted");
  CHECK(ask(store, "select outcome, ended >= started from runs") == "interrupted|1\n");
}

TEST_CASE("seconds per step are the median over done trials of that kind") {
  Store store = Store::in_memory();
  CHECK(store.seconds_per_step("mlp", "iris") == 0);
  declare(store, experiment(), members());
  const RunId run = begin_run(store);
  for (std::int64_t number = 0; number < 3; ++number) {
    Record timed = record(number);
    timed.seconds = number == 2 ? 1000.0 : 2.0 * static_cast<double>(number + 1);
    store.keep(run, timed);
  }
  store.keep(run, failure(3, Outcome::Failed, 10));
  CHECK(store.seconds_per_step("mlp", "iris") == 4.0 / 200);
  CHECK(store.seconds_per_step("lenet5", "iris") == 0);
}
