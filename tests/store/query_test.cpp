#include <atomic>
#include <string>
#include <thread>

#include <doctest/doctest.h>

#include "perturb/core/error.h"
#include "perturb/store/store.h"
#include "store/fixture.h"

using namespace perturb;
using namespace perturb::fixture;

namespace {

/// What the user is told: message, then advice.
std::string complaint(const Store& store, const std::string& sql) {
  try {
    store.query(sql);
  } catch (const Error& error) {
    CHECK(error.code() == ExitCode::Usage);
    return std::string(error.what()) + "\n" + error.advice();
  }
  return "no complaint";
}

Store filled() {
  Store store = Store::in_memory();
  declare(store, experiment(), members());
  store.keep(begin_run(store), record(0));
  return store;
}

bool has(const std::string& text, const std::string& part) {
  return text.find(part) != std::string::npos;
}

}  // namespace

TEST_CASE("cells keep their types") {
  const Store store = Store::in_memory();
  const Table table =
      store.query("select 1, 2.0, 'x', null, x'00ff' as bytes, ? as a", {Value(List{Value(1)})});
  CHECK(table.columns[4] == "bytes");
  REQUIRE(table.rows.size() == 1);
  CHECK(table.rows[0] == std::vector<Cell>{std::int64_t{1}, 2.0, std::string("x"), std::monostate(),
                                           std::string("00ff"), std::string("[1]")});
}

TEST_CASE("one question, and nothing that writes or looks elsewhere") {
  const Store store = filled();
  const std::string before = ask(store, "select * from trials");
  for (const std::string sql : {"delete from measurements",
                                "update runs set outcome = 'done'",
                                "drop view results",
                                "create table mine (x)",
                                "pragma journal_mode = delete",
                                "pragma user_version",
                                "attach 'other.db' as other",
                                "vacuum",
                                "begin",
                                "commit",
                                "savepoint x",
                                "reindex",
                                "select load_extension('x')",
                                "explain delete from runs",
                                "with x as (select 1) delete from runs",
                                "select 1; select 2",
                                "select 1; delete from runs",
                                "",
                                " -- nothing",
                                ";",
                                "select ?",
                                "analyze",
                                "select * from pragma_table_info('runs')",
                                "create temp view mine as select 1"}) {
    CAPTURE(sql);
    CHECK(complaint(store, sql) != "no complaint");
  }
  CHECK(complaint(store, std::string("select 1\0, 2", 12)) != "no complaint");
  CHECK(ask(store, "select * from trials") == before);
}

TEST_CASE("questions may be written as people write them") {
  const Store store = filled();
  CHECK(ask(store, "select 1;") == "1\n");
  CHECK(ask(store, "select 1; -- the end\n ; ") == "1\n");
  CHECK(ask(store, "/* why */ with x as (select 7 as y) select y from x") == "7\n");
  CHECK(ask(store, "values (1), (2)") == "1\n2\n");
  CHECK(has(ask(store, "explain query plan select * from results"), "SEARCH"));
}

TEST_CASE("wrong SQL is told with its place and what was probably meant") {
  const Store store = filled();
  CHECK(complaint(store, "select experimnt from results") ==
        "no such column: experimnt (at character 8)\ndid you mean \"experiment\"?");
  CHECK(has(complaint(store, "select \"optimizer.l\" from results"), "\"optimizer.lr\""));
  CHECK(has(complaint(store, "select optimizer.lr from results"),
            "has to be quoted: \"optimizer.lr\""));
  CHECK(has(complaint(store, "select * from result"), "did you mean \"results\"?"));
  CHECK(has(complaint(store, "selct 1"), "(at character 1)"));
}

TEST_CASE("rows can be taken one at a time, and no more than wanted") {
  const Store store = filled();
  std::vector<std::string> columns;
  int rows = 0;
  store.query("select number from trials", {},
              {.columns = [&](const auto& names) { columns = names; },
               .row = [&](const auto&) { return ++rows < 2; }});
  CHECK(columns == std::vector<std::string>{"number"});
  CHECK(rows == 2);
}

TEST_CASE("a question that never ends can be interrupted") {
  const Store store = Store::in_memory();
  std::atomic<bool> over{false};
  // Again and again: an interruption before the question has begun is forgotten.
  std::thread other([&] {
    while (!over) {
      store.interrupt();
      std::this_thread::yield();
    }
  });
  ExitCode code = ExitCode::Done;
  try {
    store.query(
        "with recursive n(i) as (select 1 union all select i + 1 from n) select max(i) from n");
  } catch (const Error& error) {
    code = error.code();
  }
  over = true;
  other.join();
  CHECK(code == ExitCode::Interrupted);
}
