// Law: whatever bytes results.db consists of, the store answers or says Error. A crash, an
// endless loop or another exception is a failure; so is a report of the sanitizers.
#include <fstream>
#include <string>

#include <doctest/doctest.h>

#include "perturb/core/error.h"
#include "perturb/core/files.h"
#include "perturb/core/random.h"
#include "perturb/store/store.h"
#include "store/fixture.h"
#include "store/folder.h"
#include "store/sqlite.h"

using namespace perturb;
using namespace perturb::fixture;
namespace fs = std::filesystem;

namespace {

/// In memory where there is such a place: a thousand syncs of a disk take seconds.
fs::path fast_folder() {
  std::string name = fs::exists("/dev/shm") ? "/dev/shm/perturb-XXXXXX" : "/tmp/perturb-XXXXXX";
  if (!::mkdtemp(name.data())) throw std::runtime_error("cannot make a temporary folder");
  return name;
}

std::string database_bytes() {
  const TemporaryFolder folder;
  {
    Store store = Store::open(folder.path(), Store::Access::Write);
    declare(store, experiment(), members(40));
    const RunId run = begin_run(store);
    for (std::int64_t number = 0; number < 40; ++number) store.keep(run, record(number, 5));
  }
  return read_file(folder.path() / "results.db", 10 << 20);
}

/// How often each ending came.
struct Endings {
  int answered = 0;
  int refused = 0;
};

void use(const fs::path& folder, Store::Access access, Endings& endings) {
  try {
    Store store = Store::open(folder, access);
    for (const char* view : {"trials", "results", "contrasts", "runs", "states"})
      store.query(std::string("select * from ") + view);
    std::vector<Digest> trials;
    for (std::int64_t number = 0; number < 40; ++number) trials.push_back(trial(number));
    store.known(trials, {kAccuracy, kLoss});
    store.seconds_per_step("mlp", "iris");
    if (access == Store::Access::Write) {
      declare(store, experiment("momentum", "2"), members(10));
      const RunId run = begin_run(store);
      for (std::int64_t number = 0; number < 50; number += 7) store.keep(run, record(number, 6));
      store.end_run(run, "done");
    }
    ++endings.answered;
  } catch (const Error& error) {
    CHECK_FALSE(std::string(error.what()).empty());
    ++endings.refused;
  }
}

void try_bytes(const std::string& bytes, bool write_too, Endings& endings) {
  const fs::path folder = fast_folder();
  std::ofstream(folder / "results.db", std::ios::binary) << bytes;
  use(folder, Store::Access::Read, endings);
  if (write_too) use(folder, Store::Access::Write, endings);
  fs::remove_all(folder);
}

}  // namespace

TEST_CASE("no truncation of the database crashes") {
  const std::string bytes = database_bytes();
  Endings endings;
  std::size_t size = 0;
  // A page that is missing is always noticed. Of the last one, the bytes may be missing that
  // nothing needs.
  for (; size + 4096 <= bytes.size(); size += size < 200 ? 13 : 1021)
    try_bytes(bytes.substr(0, size), size % 5 == 0, endings);
  CHECK(endings.answered == 0);
  CHECK(endings.refused > 80);
  for (; size < bytes.size(); size += 255) try_bytes(bytes.substr(0, size), true, endings);
}

TEST_CASE("no flipped bits in the database crash") {
  const std::string bytes = database_bytes();
  const std::uint64_t seed = 2;
  INFO("seed ", seed);
  Random random(seed, "damage");
  Endings endings;
  for (int round = 0; round < 400; ++round) {
    std::string damaged = bytes;
    // Half of them hit the heads of pages, where the structure is.
    const std::uint64_t flips = 1 + random.below(round % 3 == 0 ? 40 : 2);
    for (std::uint64_t i = 0; i < flips; ++i) {
      std::size_t at = random.below(damaged.size());
      if (round % 2 == 0) at = at / 4096 * 4096 + random.below(64);
      damaged[at] = static_cast<char>(damaged[at] ^ static_cast<char>(1 + random.below(255)));
    }
    try_bytes(damaged, round % 4 == 0, endings);
  }
  CHECK(endings.answered > 20);
  CHECK(endings.refused > 20);
}

TEST_CASE("nothing that somebody put into the database acts") {
  const TemporaryFolder folder;
  {
    Store store = Store::open(folder.path(), Store::Access::Write);
    declare(store, experiment(), members());
  }
  Database(database_in(folder.path()), Database::Mode::Write)
      .execute(
          "CREATE TRIGGER mine AFTER INSERT ON measurements BEGIN DELETE FROM experiments; END;"
          "ALTER TABLE factors ADD COLUMN \"x\"\"; drop table runs; --\" ANY");
  Store store = Store::open(folder.path(), Store::Access::Write);
  auto grown = members();
  add_factor(grown[0], "new.factor", 1);
  declare(store, experiment("momentum", "2"), grown);
  const RunId run = begin_run(store);
  store.keep(run, record(0));
  store.flush();
  CHECK(ask(store, "select count(*) from experiments") == "1\n");
  CHECK(ask(store, "select count(*) from results") == "6\n");
}

TEST_CASE("tables that are not there are an error of the store, not of its user") {
  const TemporaryFolder folder;
  {
    const Store store = Store::open(folder.path(), Store::Access::Write);
  }
  Database(database_in(folder.path()), Database::Mode::Write)
      .execute("DROP VIEW results; DROP VIEW contrasts; DROP TABLE measurements");
  Store store = Store::open(folder.path(), Store::Access::Write);
  try {
    store.keep(begin_run(store), record(0));
    FAIL("kept without a table");
  } catch (const Error& error) {
    CHECK(error.code() == ExitCode::Store);
    CHECK_FALSE(error.advice().empty());
  }
}
