#include "store/migrate.h"

#include <array>
#include <string>

#include <doctest/doctest.h>

#include "perturb/core/error.h"
#include "perturb/core/files.h"
#include "perturb/store/store.h"
#include "store/fixture.h"
#include "store/folder.h"
#include "store/views.h"

using namespace perturb;
using namespace perturb::fixture;
namespace fs = std::filesystem;

namespace {

constexpr std::array<Migration, 2> kSteps = {{
    {kLayout + 1, "ALTER TABLE runs ADD COLUMN mood TEXT; UPDATE runs SET mood = 'calm'"},
    // A table made anew, which is how SQLite changes a column.
    {kLayout + 2,
     "CREATE TABLE other (id INTEGER PRIMARY KEY, digest BLOB NOT NULL UNIQUE, extra INTEGER) "
     "STRICT; INSERT INTO other (id, digest) SELECT id, digest FROM states; DROP TABLE states; "
     "ALTER TABLE other RENAME TO states"},
}};

constexpr std::string_view kSchemaNames =
    "SELECT group_concat(name || ' ' || type, ', ') FROM "
    "(SELECT name, type FROM sqlite_schema ORDER BY name)";

std::string fill(const fs::path& folder) {
  Store store = Store::open(folder, Store::Access::Write);
  declare(store, experiment(), members());
  const RunId run = begin_run(store);
  for (std::int64_t number = 0; number < 4; ++number) store.keep(run, record(number));
  return ask(store, "select * from results");
}

/// Where a migration leaves what was there before.
fs::path copy_in(const fs::path& folder, const std::string& number = "") {
  return folder / ("results-v" + std::to_string(kLayout) + number + ".db");
}

void set_layout(const fs::path& folder, int layout) {
  Database(database_in(folder), Database::Mode::Write)
      .execute("PRAGMA user_version = " + std::to_string(layout));
}

}  // namespace

TEST_CASE("an older store is brought up to date, and a copy of it stays") {
  const TemporaryFolder folder;
  fill(folder.path());
  {
    const Database database(database_in(folder.path()), Database::Mode::Write);
    const std::int64_t values = database.integer("SELECT count(*) FROM results");
    CHECK(migrate(database, kSteps) == copy_in(folder.path()));
    CHECK(layout_of(database, kLayout + 2) == kLayout + 2);
    CHECK(database.text("SELECT mood FROM runs") == "calm");
    CHECK(database.integer("SELECT count(*) FROM results") == values);
    CHECK(values > 0);
    CHECK(database.integer("PRAGMA foreign_keys") == 1);
    CHECK(migrate(database, kSteps).empty());
  }
  const Database copy(copy_in(folder.path()), Database::Mode::Read);
  CHECK(layout_of(copy) == kLayout);
  CHECK(copy.text("PRAGMA integrity_check") == "ok");
  CHECK(copy.integer("SELECT count(*) FROM results") == 24);
}

TEST_CASE("a migration that fails changes nothing, and no copy is overwritten") {
  const TemporaryFolder folder;
  const std::string before = fill(folder.path());
  constexpr std::array<Migration, 2> kWrong = {
      {kSteps[0], {kLayout + 2, "DELETE FROM measurements; INSERT INTO nowhere VALUES (1)"}}};
  constexpr std::array<Migration, 1> kOrphans = {
      {{kLayout + 1, "DELETE FROM states WHERE id = 1"}}};
  {
    const Database database(database_in(folder.path()), Database::Mode::Write);
    CHECK_THROWS_AS(migrate(database, kWrong), Error);
    CHECK(fs::exists(copy_in(folder.path())));
  }
  write_atomically(copy_in(folder.path()), "precious");
  {
    const Database database(database_in(folder.path()), Database::Mode::Write);
    CHECK_THROWS_AS(migrate(database, kOrphans), Error);
  }
  CHECK(read_file(copy_in(folder.path()), 100) == "precious");
  CHECK(fs::exists(copy_in(folder.path(), "-2")));
  CHECK(ask(Store::open(folder.path(), Store::Access::Write), "select * from results") == before);
}

TEST_CASE("a store of layout 1 becomes one of this layout, with all its results") {
  const TemporaryFolder folder;
  const std::string before = fill(folder.path());
  std::string schema;
  {
    const Database database(database_in(folder.path()), Database::Mode::Write);
    schema = database.text(kSchemaNames);
    drop_views(database);
    // What layout 4 added.
    database.execute("DROP TABLE needed_states");
    // What layout 3 added.
    database.execute(
        "DROP TABLE comparisons; ALTER TABLE experiment_metrics DROP COLUMN relative; "
        "CREATE TABLE former (state INTEGER NOT NULL REFERENCES states, metric INTEGER NOT NULL "
        "REFERENCES metrics, value REAL, PRIMARY KEY (state, metric)) STRICT, WITHOUT ROWID; "
        "INSERT INTO former SELECT state, metric, value FROM measurements; "
        "DROP TABLE measurements; ALTER TABLE former RENAME TO measurements");
    // What layout 2 added.
    database.execute(
        "DROP TABLE checkpoint_trials; DROP TABLE checkpoints; DROP INDEX member_trials; "
        "ALTER TABLE conditions DROP COLUMN ingredients; ALTER TABLE experiments DROP COLUMN "
        "retention; PRAGMA user_version = 1");
    create_views(database);
  }
  Store store = Store::open(folder.path(), Store::Access::Write);
  CHECK(ask(store, "select * from results") == before);
  CHECK(fs::exists(folder.path() / "results-v1.db"));
  CHECK(store.checkpoint_steps().empty());
  const Database database(database_in(folder.path()), Database::Mode::Read);
  CHECK(database.text(kSchemaNames) == schema);
  CHECK(layout_of(database) == kLayout);
}

TEST_CASE("a newer store is left alone") {
  const TemporaryFolder folder;
  fill(folder.path());
  set_layout(folder.path(), 1000);
  const std::string bytes = read_file(database_in(folder.path()), 10 << 20);
  for (const auto access : {Store::Access::Read, Store::Access::Write}) {
    try {
      Store::open(folder.path(), access);
      FAIL("a newer store was opened");
    } catch (const Error& error) {
      CHECK(error.code() == ExitCode::Store);
      CHECK(std::string(error.what()).find("layout 1000") != std::string::npos);
      CHECK(error.advice().find("newer perturb") != std::string::npos);
    }
  }
  CHECK(read_file(database_in(folder.path()), 10 << 20) == bytes);
}

TEST_CASE("the shipped migrations end at the layout that new stores have") {
  CHECK(migrations().back().to == kLayout);
}
